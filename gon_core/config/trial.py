"""What a trial is: its data, its start, its method and training, and how its model is measured."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer

from gon_core.config.base import Frozen, PositiveFloat, PositiveInt, content_hash
from gon_core.config.methods import Given, Trained
from gon_core.config.training import TrainingConfig

Dataset = Literal["mnist", "fashion_mnist", "kmnist"]
DATASETS: tuple[str, ...] = ("mnist", "fashion_mnist", "kmnist")
TRAINING_SET, TEST_SET = 60_000, 10_000  # images in each of the data sets
HELD_OUT = 5_000  # training images that are never trained on, whatever the scale


class DataConfig(Frozen):
    """Which images.

    Attributes:
        dataset: its name; ``imagenet_c`` is only evaluated on.
        training_images: how many to train on; None for all that are not held out.
        validation_images: how many of the held-out training images to validate on.
        test_images: how many of the test images, from the first.
        split_seed: seed of the permutation that holds out.
    """

    dataset: Literal["mnist", "fashion_mnist", "kmnist", "imagenet_c"] = "mnist"
    training_images: PositiveInt | None = None
    validation_images: Annotated[int, Field(ge=1, le=HELD_OUT)] = HELD_OUT
    test_images: PositiveInt = 10_000
    split_seed: int = 0


class StartConfig(Frozen):
    """The vanilla training that all trials start from; its weights are kept by ``content_hash``."""

    model: Literal["madry_cnn"] = "madry_cnn"
    data: DataConfig
    training: TrainingConfig
    seed: int = 0


Measure = Literal["attacks", "epsilon_star", "severities"]


class EvaluationConfig(Frozen):
    """How a trained model is measured.

    Attributes:
        corruption_seed: seed of the corrupted validation and test images, equal for all trials.
        measures: what is measured of the final model beside its accuracy on clean and corrupted
            images: under attacks (Table 7), the median perturbation sizes epsilon* (Table 2), and
            at five severities of each corruption, our extension of MNIST-C.
        images: how many of the test images, from the first, these measures take; None for all.
        corruption_set: SHA-256 of corrupted test images from a folder; None for those made here.
        generator_steps: steps of an adversarial noise generator whose losses make one block; it is
            trained against the final model until a block is no better than those before.
        generator_blocks: the budget of such a training.
        generator_batch: images of a step.
        generator_learning_rate: of Adam.
    """

    corruption_seed: int = 0
    measures: tuple[Measure, ...] = ()
    images: PositiveInt | None = None
    corruption_set: str | None = None
    generator_steps: PositiveInt = 100
    generator_blocks: PositiveInt = 100
    generator_batch: PositiveInt = 300
    generator_learning_rate: PositiveFloat = 5e-4

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, dump: Any) -> dict[str, Any]:
        # Fields that came later must not change the names of trials that are on storage already.
        values = dump(self)
        asked = {name for name, field in type(self).model_fields.items()
                 if getattr(self, name) != field.default}  # fmt: skip
        return {name: values[name] for name in values if name in asked | {"corruption_seed"}}


class TrialConfig(Frozen):
    """One configuration plus one seed: everything that decides a trial's result.

    Of given weights, ``training`` and ``start`` say nothing.
    """

    method: Annotated[Trained | Given, Field(discriminator="method")]
    data: DataConfig
    training: TrainingConfig
    start: StartConfig | None
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = 0

    @property
    def trial_id(self) -> str:
        """The same question asked twice is the same trial."""
        return content_hash(self)
