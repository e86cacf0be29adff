"""Two scales: minutes on two cores, or the paper's."""

from dataclasses import dataclass

from gon_core.config import HELD_OUT, TrainingConfig
from sweeps.engine import machine
from sweeps.engine.options import SweepOptions


@dataclass(frozen=True)
class Scale:
    """How much is run: data, budgets and points.

    Attributes:
        data: how many images of each kind (None: all).
        start: training of the vanilla model that all trials start from.
        training: training of a trial.
        checkpoint_every: epochs between checkpoints.
        ant: what adversarial noise training does otherwise than in the paper, by field.
    """

    training_images: int | None
    validation_images: int
    test_images: int
    start: TrainingConfig
    training: TrainingConfig
    checkpoint_every: int
    ant: dict[str, float | int]


SCALES = {
    # The paper's 1e-3 needs hundreds of epochs; these rates show the same curve after two.
    "demo": Scale(
        training_images=10_000,
        validation_images=500,
        test_images=1_000,
        start=TrainingConfig(learning_rate=0.03, max_epochs=3),
        training=TrainingConfig(learning_rate=0.06, max_epochs=2),
        checkpoint_every=1,
        ant={"pretraining_steps": 10},
    ),
    "paper": Scale(
        training_images=None,
        validation_images=HELD_OUT,
        test_images=10_000,
        start=TrainingConfig(learning_rate=0.01, max_epochs=200),
        training=TrainingConfig(learning_rate=1e-3, max_epochs=600),
        checkpoint_every=10,
        ant={},
    ),
}


def scale_name(options: SweepOptions) -> str:
    """Return the scale that was asked for: by default the paper's where there is a GPU."""
    return options.scale or ("paper" if machine.gpu_count() else "demo")
