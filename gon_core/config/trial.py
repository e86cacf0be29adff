"""What a trial is: its data, its start, its method and training, and how its model is measured."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gon_core import architectures, measures
from gon_core.config.base import Frozen, PositiveFloat, PositiveInt, content_hash
from gon_core.config.methods import Architecture, Given, Trained
from gon_core.config.own import OwnFunction
from gon_core.config.training import TrainingConfig
from gon_core.names import nearest

if TYPE_CHECKING:
    from gon_core.benchmarks import Benchmark


ImageSize = Literal[32, 64, 224, 299]
"""Height and width that corruptions of photos are defined for."""


def _known_dataset(name: str) -> str:
    from gon_core import benchmarks  # which knows what a training configuration is

    if name not in (known := benchmarks.names(trained_only=False)):
        raise ValueError(
            f"must be one of {', '.join(known)}; did you mean {nearest(name, known)[1:-1]}?"
        )
    return name


def _benchmark(dataset: str, folder: "FolderConfig | None") -> "Benchmark":
    from gon_core import benchmarks

    found = benchmarks.get(dataset)
    return found if folder is None or found.of_folder is None else found.of_folder(folder)


def _validation_images(found: dict[str, Any]) -> int:
    return _benchmark(found["dataset"], found["folder"]).held_out


def _test_images(found: dict[str, Any]) -> int:
    return _benchmark(found["dataset"], found["folder"]).test_images


class FolderConfig(Frozen):
    """What a folder of images holds: one's own, or a part of ImageNet.

    Attributes:
        image_size: height and width that each image is brought to.
        classes: how many.
        training_images: how many are not for testing; none where models are only tested.
        test_images: how many are.
        digest: SHA-256 of the names and sizes of its files.
    """

    image_size: ImageSize
    classes: Annotated[int, Field(ge=2)]
    training_images: Annotated[int, Field(ge=0)]
    test_images: PositiveInt
    digest: str


class DataConfig(Frozen):
    """Which images.

    Attributes:
        dataset: a name in ``gon_core.benchmarks``.
        folder: what a folder of images holds; None where that is the same for everybody.
        training_images: how many to train on; None for all that are not held out.
        validation_images: how many of the held-out training images to validate on; all by default.
        test_images: how many of the test images; all by default.
        sample: which images of validation and test are taken where not all are: the first ones, or
            as many of each class, by ``split_seed``.
        image_list: SHA-256 of a list of test images, which are taken in its order, or as ``sample``
            says; None without.
        split_seed: seed of the permutation that holds out.
        stylized: SHA-256 of stylised versions of the training images, which some methods train on
            too; None of the trials of others.
    """

    dataset: Annotated[str, AfterValidator(_known_dataset)] = "mnist"
    folder: FolderConfig | None = None
    training_images: PositiveInt | None = None
    validation_images: PositiveInt = Field(default_factory=_validation_images)
    test_images: PositiveInt = Field(default_factory=_test_images)
    sample: Literal["first", "balanced"] = "first"
    image_list: str | None = None
    split_seed: int = 0
    stylized: str | None = None

    @property
    def benchmark(self) -> "Benchmark":
        """All that is known of the data set."""
        return _benchmark(self.dataset, self.folder)

    @property
    def images_of_an_epoch(self) -> int:
        """How many images are trained on."""
        return self.training_images or self.benchmark.pool

    @model_validator(mode="after")
    def _are_held_out(self) -> "DataConfig":
        known = _benchmark(self.dataset, None)
        is_missing = known.folder is not None and self.folder is None
        if is_missing or (known.of_folder is None and self.folder is not None):
            raise ValueError(f"folder must be given for one's own images alone, not {self.dataset}")
        if self.validation_images > (held_out := self.benchmark.held_out):
            raise ValueError(
                f"validation_images must be at most {held_out}, got {self.validation_images}"
            )
        return self


def _start_model(found: dict[str, Any]) -> str:
    return found["data"].benchmark.model


def _trial_model(found: dict[str, Any]) -> str | None:
    return None if isinstance(found["method"], Given) else found["data"].benchmark.model


def _refuse_unfit(model: str, data: DataConfig) -> None:
    benchmark = data.benchmark
    legal = architectures.fitting(benchmark.classes, benchmark.image_shape)
    if model not in legal and not architectures.is_from_outside(model):
        rule = f"must be one of {', '.join(legal)} on {benchmark.name}"
        raise ValueError(f"model {rule}, got {model}")


class StartConfig(Frozen):
    """The vanilla training that all trials start from; its weights are kept by ``content_hash``.

    Attributes:
        data: the images to train on.
        model: what is trained, a name in ``gon_core.architectures``; by default the benchmark's.
        training: how.
        seed: of the initial weights and of the training.
        weights: SHA-256 of given weights, which are not trained any more; None for a training.
    """

    data: DataConfig
    model: Architecture = Field(default_factory=_start_model)
    training: TrainingConfig
    seed: int = 0
    weights: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "StartConfig":
        _refuse_unfit(self.model, self.data)
        return self


class EvaluationConfig(Frozen):
    """How a trained model is measured.

    Attributes:
        corruption_seed: seed of the corrupted validation and test images, equal for all trials.
        measures: what is measured of the final model beside its accuracy on clean and corrupted
            images; any of ``gon_core.measures.choices()``, whose order they are given.
        images: how many of the test images, from the first, these measures take; None for all.
        objective: what corrupted validation images are under: the corruptions that the benchmark
            has for them, or ``corruptions``, those of its test images.
        left_out: corruptions of the published set that were not to be had, and no mean has.
        corruption_set: SHA-256 of corrupted test images from a folder; None for those made here.
        generator_steps: steps of an adversarial noise generator whose losses make one block; it is
            trained against the final model until a block is no better than those before.
        generator_blocks: the budget of such a training.
        generator_batch: images of a step.
        generator_learning_rate: of Adam.
    """

    corruption_seed: int = 0
    measures: tuple[str, ...] = ()
    images: PositiveInt | None = None
    objective: Literal["own", "corruptions"] = "own"
    left_out: tuple[str, ...] = ()
    corruption_set: str | None = None
    generator_steps: PositiveInt = 100
    generator_blocks: PositiveInt = 100
    generator_batch: PositiveInt = 300
    generator_learning_rate: PositiveFloat = 5e-4

    @field_validator("measures")
    @classmethod
    def _measures_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return measures.in_order(names)


class TrialConfig(Frozen):
    """One configuration plus one seed: everything that decides a trial's result.

    Attributes:
        method: what the model is trained with, or which given weights it has.
        data: the images.
        model: what is trained, a name in ``gon_core.architectures``; by default the benchmark's.
            None for given weights, of which ``training`` and ``start`` say nothing either.
        training: optimiser, limits and precision.
        start: the vanilla model to start from; None for initial weights.
        evaluation: how the final model is measured.
        seed: of everything random.
    """

    method: Annotated[Trained | OwnFunction | Given, Field(discriminator="method")]
    data: DataConfig
    model: Architecture | None = Field(default_factory=_trial_model)
    training: TrainingConfig
    start: StartConfig | None
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = 0

    @property
    def trial_id(self) -> str:
        """The same configuration and seed are the same trial."""
        return content_hash(self)

    @property
    def initial_weights(self) -> str:
        """Where training begins: at a model that is ``trained``, or at ``random`` weights."""
        return "random" if self.start is None else "trained"

    def value_of(self, name: str) -> Any:
        """Return a field, or property, of the method, of the training or of the trial itself.

        Of a user's own function it is one of its values, before all others.

        Raises:
            AttributeError: none of them has it.
        """
        if isinstance(self.method, OwnFunction) and name in self.method.values:
            return self.method.values[name]
        parts = (self.method, self.training)
        return getattr(next((part for part in parts if hasattr(part, name)), self), name)

    @model_validator(mode="after")
    def _fits_together(self) -> "TrialConfig":
        if self.model is None:
            return self
        _refuse_unfit(self.model, self.data)
        if self.method.uses_stylized != (self.data.stylized is not None):
            variant = self.method.variant
            raise ValueError(f"{variant} and data.stylized, {self.data.stylized}, do not fit")
        if self.start is not None and self.start.model != self.model:
            raise ValueError(f"the start is a {self.start.model}, the model a {self.model}")
        return self
