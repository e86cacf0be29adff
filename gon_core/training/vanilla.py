"""Vanilla training on clean images: where every other method starts."""

from gon_core.config import TrainingConfig, Vanilla
from gon_core.data.splits import Images
from gon_core.training.descent import descend
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: Vanilla, training: TrainingConfig, data: Images) -> Step:
    """Return the optimiser step on clean images."""

    def step(state: TrainingState, images, labels):
        return descend(state, images, labels, bf16=training.precision == "bf16")

    return step
