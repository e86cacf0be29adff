"""The options of an evaluation of checkpoints. Importing this is fast: no torch."""

import os
import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from gon_core import benchmarks, measures
from gon_core.architectures import ARCHITECTURES, OF_IMAGENET, is_from_outside
from gon_core.config import Architecture, DataConfig, FolderConfig, ImageSize, TrialConfig
from gon_core.data.files import DataFileError
from sweeps.engine.cli.command_options import CommandOptions, Cores, Measures, PositiveInt
from sweeps.engine.records import MODEL, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources import resources
from sweeps.engine.runs.script import tracking_problems
from sweeps.engine.system import machine

IMAGENET_C = "imagenet_c"


class CheckpointOptions(CommandOptions):
    """Which checkpoints, on which images, and what is measured."""

    about: ClassVar[str] = "what is evaluated"
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "data": ("mnist_c", "imagenet", "imagenet_c"),
        "resources": ("cpus", "gpus_per_shard"),
    }

    checkpoints: tuple[Path, ...] = Field(
        (), description="Folders of trials or of their checkpoints, or safetensors files. Required."
    )
    names: tuple[str, ...] | None = Field(
        None,
        description="Names; that of a row of the paper stands beside it. Default: from the paths.",
    )
    architecture: Architecture | None = Field(
        None, description="Architecture of a state dict. Default: found by its tensors."
    )
    evaluate: Measures = Field(measures.choices(), description="Further measures. Default: all.")
    evaluation_images: PositiveInt | None = Field(
        None, description="Test images that --evaluate takes. Default: all, of ImageNet 5000."
    )
    test_images: PositiveInt | None = Field(
        None, description="Test images, equally many of each class. Default: all."
    )
    validation_images: PositiveInt | None = Field(
        None, description="Held-out training images. Default: all."
    )
    mnist_c: Path | None = Field(
        None, description="Folder of the published MNIST-C. Default: our own corruptions."
    )
    imagenet: Path | None = Field(
        None, description="ImageNet: a folder with val, or shards, also s3://... Default: none."
    )
    imagenet_c: Path | None = Field(
        None, description="Folder of ImageNet-C. Default: its corruptions are made of --imagenet."
    )
    cpus: Cores = Field(1, description="Threads; on a cluster those of each shard.")
    address: str | None = Field(
        None,
        description="Ray cluster that evaluates the corruption sets. Default: this process does.",
    )
    gpus_per_shard: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="GPUs of a shard on a cluster; 0.25 shares one."
    )

    @field_validator("checkpoints", "names", mode="before")
    @classmethod
    def _one_or_more(cls, given: object) -> object:
        return given if given is None or isinstance(given, list | tuple) else [str(given)]

    @field_validator("names")
    @classmethod
    def _names_are_plain(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # They stand in tables, on axes, in MLflow and in its queries.
        if names == ():
            raise ValueError("needs one for each checkpoint")
        if any(not re.fullmatch(r"(?!\.\.?$)[A-Za-z0-9._-]{1,100}", name) for name in names or ()):
            raise ValueError("each must be 1 to 100 of the characters A-Z a-z 0-9 . _ -")
        return names

    @property
    def on_imagenet(self) -> bool:
        """Whether the models are evaluated on ImageNet, or ImageNet-C."""
        return self.imagenet is not None or self.imagenet_c is not None

    @property
    def device(self) -> str:
        """Where this process evaluates models of photos: a GPU where there is one.

        Those of digits, which are small, are evaluated on the CPU; so are all where a cluster
        helps.
        """
        are_photos = self.on_imagenet or self.benchmark.image_shape[0] == 3
        on_gpu = are_photos and self.address is None and machine.gpu_count() > 0
        return "cuda" if on_gpu else "cpu"

    @property
    def decoders(self) -> int:
        """How many processes decode images: none where the model takes much longer, on a CPU."""
        return 0 if self.device == "cpu" else min(resources.MOST_DECODERS, machine.cpu_count() - 1)

    @property
    def image_size(self) -> ImageSize:
        """Height and width of ImageNet's images, as the architecture takes them."""
        known = ARCHITECTURES.get(self.architecture or "")
        return 299 if known is not None and known.image_shape[1] == 299 else 224

    @property
    def folder(self) -> FolderConfig | None:
        """What ``--imagenet`` holds; None without it, or where it cannot be read."""
        describe = benchmarks.get(IMAGENET_C).describe
        if self.imagenet is None or describe is None:
            return None
        try:
            return describe(self.imagenet, self.image_size)
        except DataFileError:  # which `checkpoint_imagenet.problems` tells
            return None

    @property
    def trained_on(self) -> tuple[benchmarks.Benchmark, ...]:
        """What the checkpoints were trained on; of weights alone it is the default data set."""
        if self.on_imagenet:
            known, folder = benchmarks.get(IMAGENET_C), self.folder
            return (known if folder is None or not known.of_folder else known.of_folder(folder),)
        trials = [trial_of(path) or trial_of(path.parent.parent) for path in self.checkpoints]
        found: list[benchmarks.Benchmark] = []
        for trial in trials:
            benchmark = (trial.data if trial else DataConfig()).benchmark
            found += [benchmark] if benchmark not in found else []
        return tuple(found)

    @property
    def benchmark(self) -> benchmarks.Benchmark:
        """What all checkpoints are evaluated on."""
        return self.trained_on[0]

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        if not self.checkpoints:
            found["checkpoints"] = "needs at least one: a trial's folder or a safetensors file"
        elif len(self.trained_on) > 1:
            rule = "are of several data sets, evaluate those of each apart"
            found["checkpoints"] = f"{rule}: {', '.join(found.name for found in self.trained_on)}"
        else:
            found |= self.data_problems(self.benchmark)
            if self.on_imagenet:
                found.pop("data_dir", None)
                if self.imagenet is not None and self.folder is None:
                    found.pop("evaluate", None)  # of a folder that `image_problems` refuses
                if self.data_dir is not None:
                    found["data_dir"] = "is of trials: give --imagenet FOLDER instead"
        for name in ("checkpoints", "names"):
            values = [str(value) for value in getattr(self, name) or ()]
            if twice := sorted({value for value in values if values.count(value) > 1}):
                found[name] = f"given twice: {', '.join(twice)}"
        if self.names and len(self.names) != len(self.checkpoints):
            counts = f"{len(self.names)} for {len(self.checkpoints)} checkpoints"
            found["names"] = f"must be as many as checkpoints, given: {counts}"
        name = self.architecture or ""
        is_imagenet = name in OF_IMAGENET or (is_from_outside(name) and self.on_imagenet)
        if is_imagenet and not self.on_imagenet and self.benchmark.image_shape[0] != 3:
            found["architecture"] = f"{name} is for ImageNet: give --imagenet FOLDER"
        if self.on_imagenet and not is_imagenet:
            option = "--imagenet" if self.imagenet is not None else "--imagenet-c"
            rule = f"must be one of {', '.join(OF_IMAGENET)} with {option}"
            found["architecture"] = f"{rule}, given: {self.architecture or 'nothing'}"
        if self.image_size != 224 and self.imagenet is not None and self.imagenet_c is not None:
            rule = f"holds images of 224 pixels, {name} takes 299: give --imagenet alone"
            found["imagenet_c"] = rule
        if self.image_list is not None and not self.on_imagenet:
            found["image_list"] = "is of ImageNet's images: give --imagenet FOLDER"
        elif self.image_list is not None and self.test_images is not None:
            found["image_list"] = "names the images: give no --test-images"
        asked = self.evaluate if "evaluate" in self.model_fields_set else None
        made = [name for name in asked or () if measures.MEASURES[name].makes_severities]
        if self.mnist_c and made and asked != measures.choices():
            rule = f"{', '.join(made)}: of our corruptions; --mnist-c has one severity"
            found["evaluate"] = rule
        if self.gpus_per_shard and self.address is None:
            found["gpus_per_shard"] = "is of a cluster: give --address"
        elif rule := resources.share_problem(self.gpus_per_shard):
            found["gpus_per_shard"] = rule
        if self.on_imagenet and self.mnist_c:
            rule = "is for MNIST, --imagenet and --imagenet-c for ImageNet: give one of them"
            found["mnist_c"] = rule
        return found

    def storage_problems(self) -> dict[str, str]:
        """Return what is wrong with where the results are kept, by option name."""
        found = super().storage_problems()
        # Looked at again when the images are made, which takes a while.
        if not found and self.name and (fault := _fault_of(Folder(self.storage) / self.name)):
            found["name"] = fault
        return found


def trial_of(path: Path) -> TrialConfig | None:
    """Return how a model was trained, from the folder of its trial; None for any other path."""
    try:
        return TrialConfig.model_validate_json((path / "trial.json").read_bytes())
    except (OSError, ValueError):
        return None


def problems(options: CheckpointOptions) -> dict[str, str]:
    """Return what is asked of this machine and it has not, by option name."""
    missing = [str(path) for path in options.checkpoints if not os.path.exists(path)]
    faults = [f"no such file or folder: {', '.join(missing)}"] if missing else []
    faults += [
        f"{path}: a folder without {MODEL}: not a trial that has ended"
        for path in options.checkpoints
        if os.path.isdir(path) and not (path / MODEL).exists()
    ]
    found = {"checkpoints": "; ".join(faults)} if faults else {}
    for name in ("mnist_c", "imagenet_c"):
        folder = getattr(options, name)
        if folder is not None and not os.path.isdir(folder):
            found[name] = f"no such folder: {folder}"
    place = options.imagenet  # a path, or an address whose slashes a Path has merged
    is_address = re.match(r"[a-z][a-z0-9+.-]+:/", str(place)) is not None
    if place is not None and not is_address and not os.path.isdir(place):
        found["imagenet"] = f"no such folder: {place}"
    if options.image_list is not None and not os.path.isfile(options.image_list):
        found["image_list"] = f"no such file: {options.image_list}"
    if options.address is not None:
        gpus = options.gpus_per_shard
        if problem := resources.no_machine_for(options.address, options.cpus, gpus):
            found["address"] = problem
    elif options.cpus > (cores := machine.cpu_count()):
        found["cpus"] = f"must be at most {cores}, the cores of this machine, given: {options.cpus}"
    return found | tracking_problems(options)


def _fault_of(folder: Folder) -> str:
    if folder.is_local and Path(folder.path).is_file():
        return f"{folder.path} is a file, choose another name"
    try:
        before = SweepRecords(folder).read_sweep()
    except (OSError, ValueError) as error:
        return f"{folder.path}: {error}; choose another name"
    if before is None or "trials" in before.config:
        return ""
    return f"{folder.path} holds another sweep, choose another name"
