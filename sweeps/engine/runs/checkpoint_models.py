"""The checkpoints that are evaluated: found, read, and what the paper says beside them."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from gon_core import architectures, paper
from gon_core.benchmarks import Benchmark
from gon_core.config import Given, OwnFunction, TrialConfig
from gon_core.models import weights
from gon_core.models.weights import WeightsError
from sweeps.engine.planning import deviations, methods
from sweeps.engine.records import MANIFEST, MODEL, OtherFormatError, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.runs.checkpoint_options import CheckpointOptions, trial_of


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint that was read and fits its architecture.

    Attributes:
        given: what it is.
        model: with its weights.
        source: the file or folder that it was read from.
        benchmark: what it is evaluated on.
        trial: how it was trained, where the source is the folder of a trial that has ended. A
            checkpoint from the middle of a training stands beside nothing.
    """

    given: Given
    model: nn.Module
    source: Path
    benchmark: Benchmark
    trial: TrialConfig | None = None

    @property
    def published_row(self) -> str | None:
        """The row of the paper's accuracies that it stands beside: by its name, or its training."""
        published, trial = self.benchmark.published, self.trial
        if published is None:
            return None
        if self.given.name in paper.load(published.top1)["model"].to_pylist():
            return self.given.name
        if trial is None or isinstance(trial.method, Given | OwnFunction):
            return None
        return methods.published_row(trial.method, self.benchmark.beside(trial.model))

    @property
    def deviations(self) -> str:
        """What of its training is smaller than in the paper, in words; empty if nothing is."""
        trial = self.trial
        if trial is None or isinstance(trial.method, Given | OwnFunction):
            return ""
        found = deviations.training_deviations(
            trial.data, trial.training, trial.start, trial.method.variant
        )
        changes = methods.changes(trial.method.variant, trial.method, trial.data.benchmark)
        return ", ".join([*found, *changes])


def load_models(options: CheckpointOptions) -> tuple[list[LoadedModel], list[str]]:
    """Return the checkpoints, and what is wrong with the others, a line each."""
    models, problems, benchmark = [], [], options.benchmark
    classes, shape = benchmark.classes, benchmark.image_shape
    if options.on_imagenet:  # its architectures are as they were published
        classes = shape = None
    for index, path in enumerate(options.checkpoints):
        try:
            refuse_another_version(path)
            file = find_weights(path)
            state = weights.read_state(file)
            architecture = (
                options.architecture
                or _from_outside(path)
                or weights.guess_architecture(state, classes, shape)
                or weights.guess_architecture(state)
                or benchmark.model
            )
            takes_them = options.on_imagenet or benchmark.image_shape[0] == 3
            if architecture in architectures.OF_IMAGENET and not takes_them:
                # Grey images would go through it, and its answers would mean nothing.
                rule = f"a {architecture} is for ImageNet: give --imagenet-c FOLDER"
                raise WeightsError(f"{file}: {rule}")
            model = weights.build(state, architecture, str(file), classes, shape)
        except ValueError as error:  # also an architecture that is for other images
            problems.append(f"--checkpoints: {error}")
            continue
        given = Given(
            name=options.names[index] if options.names else name_of(path),
            architecture=architecture,
            sha256=weights.digest(state),
        )
        models.append(LoadedModel(given, model, path, benchmark, trial_of(path)))
    names = [loaded.given.name for loaded in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"--names: two checkpoints would be called {', '.join(twice)}: name them")
    return models, problems


def _from_outside(path: Path) -> str | None:
    """Return the model from outside that a trial was trained with, if it was one.

    Raises:
        WeightsError: it is a function of somebody's module, which a record may not have called.
    """
    trial = trial_of(path) or trial_of(path.parent.parent)
    if trial is None or trial.model is None or not architectures.is_from_outside(trial.model):
        return None
    if not trial.model.startswith(architectures.TORCHVISION):
        rule = f"its model is code, {trial.model}: if you trust it, give it as --architecture"
        raise WeightsError(f"{path}: {rule}")
    return trial.model


def refuse_another_version(path: Path) -> None:
    """Raise WeightsError if the sweep of a trial, or of its checkpoint, is of another version.

    What its trial.json says may mean something else there; the weights alone can be evaluated.
    """
    for trial in (path, path.parent.parent):
        if path.is_dir() and (trial / "trial.json").exists():
            try:
                SweepRecords(Folder(str(trial.resolve().parent.parent))).read_sweep()
            except OtherFormatError as error:
                raise WeightsError(f"{path}: {error}; give its {MODEL} alone") from None
            except (OSError, ValueError):  # of a sweep that is damaged: the trial speaks for itself
                pass


def find_weights(path: Path) -> Path:
    """Return the weights' file of a checkpoint; a training checkpoint's must match its manifest.

    Raises:
        WeightsError: it is damaged.
    """
    if not path.is_dir():
        return path
    file, manifest = path / MODEL, path / MANIFEST
    if manifest.exists():
        try:
            expected = json.loads(manifest.read_text())["sha256"][MODEL]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise WeightsError(f"{manifest}: damaged ({error!r})") from error
        if hashlib.sha256(weights.read_bytes(file)).hexdigest() != expected:
            raise WeightsError(f"{file}: damaged, its SHA-256 is not the manifest's")
    return file


def name_of(path: Path) -> str:
    """Return what to call a checkpoint: a trial by its method and point, a file by its name."""
    if path.is_dir():
        for folder, suffix in ((path, ""), (path.parent.parent, f" {path.name}")):
            if (config := trial_of(folder)) is not None:
                return f"{_trial_name(folder, config)}{suffix}"
    name = path.name if path.is_dir() else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100] or "checkpoint"


def _trial_name(folder: Path, config: TrialConfig) -> str:
    """Return for example ``gnt sigma=0.62 seed 0``, or ``gnt #5 seed 0`` of a joint search."""
    variant, fallback = config.method.variant, f"{config.method.variant} seed {config.seed}"
    records = SweepRecords(Folder(str(folder.resolve().parent.parent)))
    try:
        if (description := records.read_sweep()) is None:
            return fallback
        number = None
        if description.search == "joint":
            numbers = description.numbers(records.trials().values())
            number = numbers.get(description.point_of(config))
        name = description.trial_name(config, number)
    except (OSError, ValueError, AttributeError):  # of a sweep that is damaged
        return fallback
    return fallback if name in (fallback, f"baseline {fallback}") else f"{variant} {name}"
