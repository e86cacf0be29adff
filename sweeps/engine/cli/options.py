"""The options of every sweep: one typed model, filled from the command line and a YAML file.

Importing this is fast: neither torch nor Ray.
"""

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gon_core import architectures, benchmarks, measures
from gon_core.benchmarks import image_folder
from gon_core.benchmarks.cifar10 import FROST_VARIABLE
from gon_core.config import DataConfig, FolderConfig, ImageSize, Precision, Variant
from gon_core.data.files import DataFileError
from sweeps.engine.cli.grids import WHOLE_NUMBER, words
from sweeps.engine.cli.messages import nearest_word
from sweeps.engine.cli.storage_checks import checked_name, checked_storage, checked_tracking_uri
from sweeps.engine.records import object_store
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.background import in_background
from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.machine import cpu_count, memory

Scale = Literal["demo", "paper"]
Sampler = Literal["gp", "tpe", "nsga2", "random"]
Scheduler = Literal["none", "asha"]
MOST_SEEDS, MOST_PROPOSALS = 1_000, 10_000  # a slip of the finger, which memory could not hold
MOST_GENERATOR_STEPS = 10_000_000  # records have 64 bits for them; the paper takes 1,000 alone
MOST_EPOCHS = 100_000  # checkpoints are named by epoch, with six digits
# Beyond what any machine has, or any sweep takes; what is divided by them stays a number.
MOST_CORES, MOST_GPUS, MOST_HOURS, MOST_PRICE = 100_000, 1_000, 1e9, 1e6
DEFAULT_SIZE = 64  # pixels, of one's own images
MOST_DECODERS = 2  # by default
MEMORY_SHARE = 4  # the part of the memory that images may take: Ray keeps a copy for the trials
PositiveInt = Annotated[int, Field(ge=1)]
Cores = Annotated[int, Field(ge=1, le=MOST_CORES)]
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
Methods = Annotated[
    tuple[Variant, ...] | None, BeforeValidator(lambda given: words(given, get_args(Variant)))
]


def _measures(given: object) -> object:
    known = measures.choices()
    if given == ():
        return given
    found = words(given, (*known, "all", "none"))
    if found in (["all"], ["none"]):
        return known if found == ["all"] else ()
    if found and {"all", "none"} & set(found):
        raise ValueError("all and none stand alone")
    return found


Measures = Annotated[tuple[str, ...] | None, BeforeValidator(_measures)]
DATASETS = benchmarks.names()
EMBEDDED = ", ".join(name for name in DATASETS if benchmarks.get(name).is_embedded)


def _known_dataset(name: str) -> str:
    if name not in (known := benchmarks.names()):
        hint = nearest_word(name, known, cutoff=0.0)
        raise ValueError(f"must be one of {', '.join(known)}; did you mean {hint}?")
    return name


DatasetName = Annotated[str, AfterValidator(_known_dataset)]


ModelName = Annotated[str, AfterValidator(architectures.known)]


class CommandOptions(BaseModel):
    """The options of every command that writes a sweep's folder."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a URI may hold a password
    )

    about: ClassVar[str] = "what is searched"
    """The group of the options that only this command has, in its help."""
    groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Further options of this command in the groups of ``cli.help.GROUPS``."""

    name: Annotated[str, AfterValidator(checked_name)] | None = Field(
        None, description="Folder of the sweep below --storage. Default: made from its options."
    )
    data_dir: Path | None = Field(
        None, description="Folder of the data set, in torchvision's layout. Default: none."
    )
    corrupted_dir: Path | None = Field(
        None, description="Folder of the published CIFAR-10-C. Default: corruptions made here."
    )
    frost_dir: Path | None = Field(
        None,
        description="Folder of the frost photos. Default: those of the extra package, or none.",
    )
    evaluate: Measures = Field(
        None, description="Further measures of final models. Default: none (demo), all (paper)."
    )
    evaluation_images: PositiveInt | None = Field(
        None, description="Test images that --evaluate takes. Default: 300 (demo), all (paper)."
    )
    storage: Annotated[str, AfterValidator(checked_storage)] = Field(
        "results", description="Where sweeps are stored: a local folder, s3://... or gs://..."
    )
    tracking_uri: Annotated[str, AfterValidator(checked_tracking_uri)] | None = Field(
        None, description="MLflow store. Default: mlflow.db in --storage, or in results/ if remote."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; commands may add to it."""
        found = {}
        if self.evaluation_images is not None and self.evaluate == ():
            found["evaluation_images"] = "is of what --evaluate measures, which is nothing"
        if self.frost_dir is not None:
            os.environ[FROST_VARIABLE] = str(self.frost_dir.resolve())  # for all its processes
            from gon_core.corruptions.photos import frost  # torch, which is slow to import

            try:
                frost.folder()
            except ValueError as error:
                found["frost_dir"] = str(error)
        return found

    def data_problems(self, benchmark: benchmarks.Benchmark) -> dict[str, str]:
        """Return what the options ask of a data set and it has not, by option name."""
        found = {}
        if not benchmark.is_embedded and self.data_dir is None:
            rule = "is not embedded: give its folder, also to download it"
            found["data_dir"] = f"{benchmark.name} {rule}"
        if benchmark.is_embedded and self.data_dir is not None:
            rule = "is embedded, no folder is read: give --dataset as well"
            found["data_dir"] = f"{benchmark.title} {rule}"
        if self.corrupted_dir is not None and benchmark.check_corrupted is None:
            found["corrupted_dir"] = f"is of CIFAR-10-C, these are of {benchmark.title}"
        sizes = {
            "training_images": benchmark.pool,
            "validation_images": benchmark.held_out,
            "test_images": benchmark.test_images,
            "evaluation_images": benchmark.test_images,
        }
        for name, available in sizes.items():
            if (count := getattr(self, name, None) or 0) > available:
                found[name] = f"must be at most {available:,}, given: {count:,}"
        lacking = [name for name in self.evaluate or () if name not in benchmark.measures]
        if lacking and self.evaluate != measures.choices():  # of all, what it has
            known = ", ".join(benchmark.measures)
            found["evaluate"] = f"{benchmark.title} has {known}, given: {', '.join(lacking)}"
        return found

    def storage_problems(self) -> dict[str, str]:
        """Return what is wrong with where the sweep is kept, by option name.

        An object store is tried out, once every option by itself is legal: it takes a second, and
        a quarter of a minute where nothing answers.
        """
        found, storage = {}, Folder(self.storage, patience=object_store.SHORT_PATIENCE)
        try:
            if self.name is not None:
                _ = storage / self.name
            if not storage.is_local:
                in_background(storage.try_out).result(object_store.TRY_SECONDS)
        except OutsideError as error:
            found["name"] = str(error)
        except StorageError as error:
            found["storage"] = f"cannot be used: {error.reason}"
        except TimeoutError:
            found["storage"] = f"cannot be used: no answer in {object_store.TRY_SECONDS:g} s"
        return found


class SweepOptions(CommandOptions):
    """The options of every sweep; each adds those of what it searches."""

    scale: Scale | None = Field(
        None,
        description="demo: minutes on two cores; paper: in full. Default: demo without a GPU.",
    )
    method: Methods = Field(
        None,
        description="Method that is searched; others become baselines. Default: the sweep's own.",
    )
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(
        3, description="Seeds per point; figures are means over them, with an interval."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="First seed of each point, and seed of the sampler."
    )
    num_trials: Annotated[int, Field(ge=0, le=MOST_PROPOSALS)] | None = Field(
        None,
        description="Points that Optuna proposes around the best. Default: 1 (demo), 6 (paper).",
    )
    sampler: Sampler = Field(
        "gp", description="Optuna's sampler: gp is a Gaussian process, nsga2 for joint searches."
    )
    objective: Literal["extra", "corruptions"] | None = Field(
        None,
        description="Corruptions that trials are chosen on. Default: extra, or those of the test.",
    )
    scheduler: Scheduler = Field(
        "none", description="asha stops unpromising trials early; they are recorded as pruned."
    )
    dataset: DatasetName = Field(
        DataConfig.model_fields["dataset"].default,
        description=f"Data set; all but {EMBEDDED} are read from --data-dir.",
    )
    image_size: Annotated[ImageSize, WHOLE_NUMBER] | None = Field(
        None, description="Height and width that your own images are brought to. Default: 64."
    )
    cache_images: Literal["auto", "none"] = Field(
        "auto", description="auto: your own images are kept in memory where they fit."
    )
    data_workers: Annotated[int, Field(ge=0, le=MOST_CORES)] | None = Field(
        None,
        description="Processes of a trial that decode images in every epoch. Default: up to 2.",
    )
    model: ModelName | None = Field(
        None,
        description="Classifier; also torchvision:NAME, module:function. Default: by data set.",
    )
    weights: Path | None = Field(
        None, description="Safetensors file that trials start from. Default: a vanilla training."
    )
    download: bool = Field(False, description="Download the data set into --data-dir first.")
    training_images: PositiveInt | None = Field(
        None, description="Training images. Default: by --scale."
    )
    validation_images: PositiveInt | None = Field(
        None, description="Held-out training images, which the search sees. Default: by --scale."
    )
    test_images: PositiveInt | None = Field(
        None, description="Test images, which the report is about. Default: by --scale."
    )
    max_epochs: Epochs | None = Field(
        None, description="Limit of a trial's epochs, if it does not converge. Default: by --scale."
    )
    start_epochs: Epochs | None = Field(
        None,
        description="The same for the vanilla model that trials start from. Default: --scale.",
    )
    precision: Precision = Field("fp32", description="bf16 is faster and slightly less accurate.")
    checkpoint_every: PositiveInt | None = Field(
        None, description="Epochs between checkpoints. Default: 1 (demo), 10 (paper)."
    )
    address: str | None = Field(
        None, description="Ray cluster to run on. Default: Ray is started on this machine."
    )
    gpus_per_trial: Annotated[float, Field(ge=0, le=MOST_GPUS)] | None = Field(
        None, description="GPUs of a trial; 0.25 shares one. Default: 1 if there is one, else 0."
    )
    cpus_per_trial: Cores = Field(
        1, description="Cores and threads of a trial, or of each of its processes."
    )
    processes_per_trial: Cores | None = Field(
        None,
        description="Processes of a trial, each on a share of a batch. Default: one a GPU, or 1.",
    )
    max_concurrent: PositiveInt | None = Field(
        None, description="Trials at a time. Default: as many as fit."
    )
    max_failures: Annotated[int, Field(ge=0)] = Field(
        3, description="How often a trial whose process died is resumed."
    )
    max_node_losses: Annotated[int, Field(ge=0)] = Field(
        100, description="How often a trial whose machine was lost is resumed."
    )
    wait_for_driver: Annotated[float, Field(ge=0, le=86400)] = Field(
        0.0,
        description="Seconds to wait for another driver of the sweep to end. Default: refuse.",
    )
    budget_gpu_hours: Annotated[float, Field(gt=0, le=MOST_HOURS)] | None = Field(
        None, description="Start no trial that would pass this, over all runs. Default: no limit."
    )
    budget_hours: Annotated[float, Field(gt=0, le=MOST_HOURS)] | None = Field(
        None, description="The same for hours in which the sweep runs. Default: no limit."
    )
    price_per_gpu_hour: Annotated[float, Field(ge=0, le=MOST_PRICE)] | None = Field(
        None, description="Price of a GPU-hour, to print what the sweep costs. Default: none."
    )
    dry_run: bool = Field(
        False, description="List the trials and what they cost: hours, money, storage; start none."
    )

    methods: ClassVar[tuple[str, ...]] = get_args(Variant)
    """The methods that the sweep can search, its own first."""
    several_methods: ClassVar[bool] = False
    """Whether the methods themselves are what is searched."""

    @property
    def benchmark(self) -> benchmarks.Benchmark:
        """All that is known of the data set."""
        folder = self.folder
        return benchmarks.get(self.dataset) if folder is None else benchmarks.of_folder(folder)

    @property
    def folder(self) -> FolderConfig | None:
        """What a folder of one's own images holds; None of others, or where it cannot be read."""
        if self.data_dir is None or benchmarks.get(self.dataset).folder is None:
            return None
        try:
            return image_folder.describe(self.data_dir, self.image_size or DEFAULT_SIZE)
        except DataFileError:  # which `planning.plan.problems` tells
            return None

    @property
    def keeps_images(self) -> bool:
        """Whether images are decoded once, into memory; all but one's own always are."""
        folder = self.folder
        if folder is None or self.cache_images == "none":
            return folder is None
        count = (self.training_images or folder.training_images) + folder.test_images
        return count * 3 * folder.image_size**2 <= memory() // MEMORY_SHARE

    @property
    def decoders(self) -> int:
        """Processes of a trial that decode images, which need cores of their own."""
        if self.keeps_images:
            return 0
        if self.data_workers is not None:
            return self.data_workers
        free = cpu_count() - self.cpus_per_trial
        return MOST_DECODERS if self.address else max(0, min(MOST_DECODERS, free))

    @property
    def variant(self) -> str:
        """The one training method that is searched."""
        return next((name for name in self.method or () if name in self.methods), self.methods[0])

    @property
    def baselines(self) -> tuple[str, ...]:
        """The training methods that are trained beside what is searched."""
        if self.several_methods:
            return ()
        return tuple(name for name in self.method or () if name != self.variant)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; sweeps may add to it."""
        found, benchmark = super().problems() | self.data_problems(self.benchmark), self.benchmark
        if benchmark.is_embedded and self.download:
            found["download"] = f"{benchmark.title} is embedded, there is nothing to download"
        if benchmark.folder is None:
            for name in ("image_size", "cache_images", "data_workers"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    found[name] = f"is of your own images: --dataset {image_folder.NAME}"
        elif self.download:
            found["download"] = "your own images are where they are"
        elif self.folder is None:  # nothing is known of it
            return {name: rule for name, rule in found.items() if not name.endswith("_images")}
        elif not self.keeps_images and (self.processes_per_trial or 1) > 1:
            found["processes_per_trial"] = "must be 1 where images are decoded in every epoch"
        if self.objective == "extra" and not benchmark.has_extra:
            found["objective"] = f"{benchmark.title} has no corruptions that are kept for this"
        if self.weights is not None and self.start_epochs is not None:
            found["start_epochs"] = "is of a vanilla training, there is none with --weights"
        if self.model is not None and not architectures.is_from_outside(self.model):
            rule = architectures.problem(self.model, benchmark.classes, benchmark.image_shape)
            if rule:
                found["model"] = f"{rule} on {benchmark.title}, given: {self.model}"
        return found
