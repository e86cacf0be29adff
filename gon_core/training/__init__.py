"""Training methods, one file each; ``start_training`` puts one together."""

from collections.abc import Iterator

import torch

from gon_core import seeding
from gon_core.config import GNT, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import gnt, vanilla
from gon_core.training.loop import EpochMetrics, Step, TrainingState, train_epochs

METHODS = {Vanilla: vanilla.make_step, GNT: gnt.make_step}

__all__ = ["METHODS", "EpochMetrics", "TrainingState", "new_state", "train"]


def new_state(model: torch.nn.Module, config: TrainingConfig, seed: int) -> TrainingState:
    """Return the state before the first epoch.

    Args:
        model: the classifier to train, in place, on the device where it is.
        config: learning rate and momentum.
        seed: of the random streams (data order, noise).
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.learning_rate, momentum=config.momentum, fused=True
    )
    streams = {
        "data order": seeding.generator(seed, "data order"),
        "noise": seeding.generator(seed, "noise", device=device),
    }
    return TrainingState(model, optimizer, streams)


def train(
    state: TrainingState, data: LabelledImages, method: Vanilla | GNT, config: TrainingConfig
) -> Iterator[EpochMetrics]:
    """Train with ``method`` from ``state`` on; see ``loop.train_epochs``."""
    step: Step = METHODS[type(method)](method, config)
    return train_epochs(state, data, config, step)
