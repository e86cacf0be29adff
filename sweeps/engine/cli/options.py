"""The options of every sweep: one typed model, filled from the command line and a YAML file.

Importing this is fast: neither torch nor Ray.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from gon_core import architectures, benchmarks
from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig, FolderConfig, ImageSize, Precision, Variant
from gon_core.config.training import MOST_BATCH, MOST_DECAYS
from gon_core.data.files import DataFileError
from sweeps.engine.cli.command_options import MOST_CORES, CommandOptions, Cores, PositiveInt
from sweeps.engine.cli.grids import THREE_NUMBERS, WHOLE_NUMBER, words
from sweeps.engine.cli.messages import hint
from sweeps.engine.system.machine import memory

Scale = Literal["demo", "paper"]
Sampler = Literal["gp", "tpe", "nsga2", "random"]
Scheduler = Literal["none", "asha"]
MOST_SEEDS, MOST_PROPOSALS = 1_000, 10_000  # a slip of the finger, which memory could not hold
MOST_GENERATOR_STEPS = 10_000_000  # records have 64 bits for them; the paper takes 1,000 alone
MOST_EPOCHS = 100_000  # checkpoints are named by epoch, with six digits
# Beyond what any machine has, or any sweep takes; what is divided by them stays a number.
MOST_GPUS, MOST_HOURS, MOST_PRICE, MOST_SPEED = 1_000, 1e9, 1e6, 1e9
MEMORY_SHARE = 4  # the part of the memory that images may take: Ray keeps a copy for the trials
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
Methods = Annotated[
    tuple[Variant, ...] | None, BeforeValidator(lambda given: words(given, get_args(Variant)))
]


Rate = Annotated[float, Field(gt=0)]
Batch = Annotated[int, Field(ge=1, le=MOST_BATCH)]
FordRecipe = Annotated[tuple[Rate, Batch, Epochs] | None, THREE_NUMBERS]
DATASETS = benchmarks.names()
EMBEDDED = ", ".join(name for name in DATASETS if benchmarks.get(name).is_embedded)


def _known_dataset(name: str) -> str:
    if name not in (known := benchmarks.names()):
        raise ValueError(f"must be one of {', '.join(known)}{hint(name, known)}")
    return name


DatasetName = Annotated[str, AfterValidator(_known_dataset)]


ModelName = Annotated[str, AfterValidator(architectures.known)]


class SweepOptions(CommandOptions):
    """The options of every sweep; each adds those of what it searches."""

    examples: ClassVar[dict[str, str]] = {
        "--dry-run": "the trials and what they will cost; starts nothing",
        "--scale paper --gpus-per-trial 0.5": "in full, with two trials on each GPU",
        "--dataset cifar10 --data-dir data --download": "photos instead of digits",
        "--address auto --storage s3://bucket/sweeps": "on the Ray cluster of this machine",
    }

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
    stylized_dir: Path | None = Field(
        None,
        description="Folder of stylised training images, for methods with sin. Default: none.",
    )
    image_size: Annotated[ImageSize, WHOLE_NUMBER] | None = Field(
        None, description="Height and width of images from a folder. Default: 64, ImageNet 224."
    )
    cache_images: Literal["auto", "none"] = Field(
        "auto", description="auto: images from a folder are kept in memory where they fit."
    )
    data_workers: Annotated[int, Field(ge=0, le=MOST_CORES)] | None = Field(
        None,
        description="Processes of a trial that decode images. Default: its share of the cores.",
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
    batch_size: Batch | None = Field(
        None, description="Images of a training step. Default: by data set and --scale."
    )
    decays: Annotated[int, Field(ge=0, le=MOST_DECAYS)] | None = Field(
        None, description="At how many plateaus the learning rate falls by 10. Default: 1."
    )
    uat_step_size: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="Step of uat's perturbation; no source gives it. Default: none, uat needs it.",
    )
    ford_recipe: FordRecipe = Field(
        None,
        description="Rate, batch, epochs of ford on ImageNet; no source has them. Default: none.",
    )
    precision: Precision = Field(
        "fp32", description="bf16, or tf32 on a GPU, is faster and slightly less accurate."
    )
    compile: bool = Field(
        False, description="Train the classifier compiled by torch.compile: another training."
    )
    batch_norm: Literal["synchronised", "local"] = Field(
        "synchronised",
        description="local: each process of a trial normalises its own images: another training.",
    )
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
    trials_per_process: Cores = Field(
        1, description="Trials that run at once in one process, on one GPU; for small models."
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
    images_per_second: Annotated[float, Field(gt=0, le=MOST_SPEED)] | None = Field(
        None,
        description="Images/s of a vanilla training, for --dry-run. Default: recorded or measured.",
    )
    fresh: bool = Field(
        False, description="Train again what other sweeps in --storage have, under a new name."
    )
    system_metrics: bool = Field(
        False,
        description="Log how busy each trial keeps CPU, memory and GPU to MLflow, every 10 s.",
    )
    dry_run: bool = Field(
        False, description="List the trials and what they cost: hours, money, storage; start none."
    )

    methods: ClassVar[tuple[str, ...]] = get_args(Variant)
    """The methods that the sweep can search, its own first."""
    several_methods: ClassVar[bool] = False
    """Whether the methods themselves are what is searched."""

    searched: ClassVar[dict[str, str]] = {}
    """By option that the sweep searches itself, the option that says where; "" if none does."""

    @property
    def networks(self) -> tuple[str, ...]:
        """The classifiers that are trained, by name; none for the default of data set and scale."""
        return (self.model,) if self.model else ()

    @property
    def files_of_weights(self) -> tuple[tuple[str | None, Path], ...]:
        """The files that trials start from, each with the name of its classifier, if given."""
        return ((self.model, self.weights),) if self.weights else ()

    @property
    def benchmark(self) -> benchmarks.Benchmark:
        """All that is known of the data set."""
        folder = self.folder
        found = benchmarks.get(self.dataset)
        if folder is not None and found.of_folder is not None:
            found = found.of_folder(folder)
        return found.beside(self.model)

    @property
    def folder(self) -> FolderConfig | None:
        """What a folder of images holds; None of other data sets, or where it cannot be read."""
        found = benchmarks.get(self.dataset)
        if self.data_dir is None or found.describe is None:
            return None
        try:
            return found.describe(self.data_dir, self.image_size or found.image_size)
        except DataFileError:  # which `planning.plan.problems` tells
            return None

    @property
    def keeps_images(self) -> bool:
        """Whether images are decoded once, into memory: not those of which parts are shown."""
        folder = self.folder
        if folder is None:
            return True
        if self.cache_images == "none" or self.benchmark.augment is None:
            return False
        versions = 1 if self.stylized_dir is None else 2
        count = (self.training_images or folder.training_images) * versions + folder.test_images
        return count * 3 * folder.image_size**2 <= memory() // MEMORY_SHARE

    @property
    def variant(self) -> str:
        """The one training method that is searched."""
        legal = self.benchmark.methods.keys() & set(self.methods)
        return next((name for name in self.method or () if name in legal), self.methods[0])

    @property
    def trained(self) -> tuple[str, ...]:
        """The training methods of all trials; in a comparison all that what is given allows."""
        if not self.several_methods:
            return (self.variant, *self.baselines)
        benchmark = self.benchmark
        undescribed = benchmark.scales["paper"].open_recipes if self.ford_recipe is None else ()
        usable = (
            name
            for name, method in benchmark.methods.items()
            if (self.stylized_dir is not None or not method.uses_stylized)
            and (self.uat_step_size is not None or name != "uat")
            and name not in undescribed
        )
        return self.method or tuple(usable)

    @property
    def baselines(self) -> tuple[str, ...]:
        """The training methods that are trained beside what is searched."""
        if self.several_methods:
            return ()
        return tuple(name for name in self.method or () if name != self.variant)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name; sweeps may add to it."""
        found, benchmark = super().problems() | self.data_problems(self.benchmark), self.benchmark
        for name, instead in self.searched.items():
            if getattr(self, name, None) is not None:
                found[name] = "is what this sweep searches" + (f": give {instead}" * bool(instead))
        if self.images_per_second is not None and not self.dry_run:
            found["images_per_second"] = "is for --dry-run alone"
        if benchmark.is_embedded and self.download:
            found["download"] = f"{benchmark.title} is embedded, there is nothing to download"
        if benchmark.folder is None:
            for name in ("image_size", "cache_images", "data_workers", "image_list"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    found[name] = f"is of images from a folder: --dataset {image_folder.NAME}"
        elif self.download:
            found["download"] = "these images are where they are"
        elif self.image_list is not None and self.test_images is not None:
            found["image_list"] = "names the images: give no --test-images"
        if foreign := [name for name in self.method or () if name not in benchmark.methods]:
            known = ", ".join(benchmark.methods)
            found["method"] = f"on {benchmark.title} must be one of {known}, given: {foreign[0]}"
        else:
            found |= self._stylized_problems()
            if ("uat" in self.trained) != (self.uat_step_size is not None):
                rule = (
                    "is not given in the paper, nor found in any code: uat has no default for it"
                    if self.uat_step_size is None
                    else f"is of --method uat; given: {', '.join(self.trained)}"
                )
                found["uat_step_size"] = rule
        if self.objective == "extra" and not benchmark.has_extra:
            found["objective"] = f"{benchmark.title} has no corruptions that are kept for this"
        if self.files_of_weights and self.start_epochs is not None:
            found["start_epochs"] = "is of a vanilla training, there is none with --weights"
        if benchmark.folder is not None and self.folder is None:  # nothing is known of it
            return {name: rule for name, rule in found.items() if not name.endswith("_images")}
        for name in self.networks:
            if architectures.is_from_outside(name):
                continue
            if rule := architectures.problem(name, benchmark.classes, benchmark.image_shape):
                option = "model" if self.model else "models"
                found[option] = f"{rule} on {benchmark.title}, given: {name}"
        return found

    def _stylized_problems(self) -> dict[str, str]:
        methods = self.benchmark.methods
        using = [name for name in self.trained if name in methods and methods[name].uses_stylized]
        if using and self.stylized_dir is None:
            rule = f"{', '.join(using)} trains on stylised images too: give --stylized-dir"
            return {"method": rule}
        if self.stylized_dir is not None and not using:
            able = [name for name, method in methods.items() if method.uses_stylized]
            rule = f"is of --method {', '.join(able)}" if able else "is of ImageNet's methods"
            return {"stylized_dir": f"{rule}; given: {', '.join(self.trained)}"}
        return {}
