"""When a training has converged: plateau, one learning-rate decay, plateau again."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from gon_core.config import TrainingConfig

Event = Literal["continue", "decay", "converged", "max_epochs", "diverged"]


@dataclass(frozen=True)
class Convergence:
    """Where a training stands.

    Attributes:
        epoch: epochs ended.
        decayed: whether the learning rate was decayed already.
        best_loss: the training loss that the next epochs must improve on, in nats.
        stale_epochs: epochs since it was reached.
    """

    epoch: int = 0
    decayed: bool = False
    best_loss: float = math.inf
    stale_epochs: int = 0


def advance(
    state: Convergence, train_loss: float, config: TrainingConfig
) -> tuple[Convergence, Event]:
    """Take in the mean training loss of one more epoch.

    Args:
        state: before the epoch.
        train_loss: its mean loss in nats; NaN and infinity mean divergence.
        config: patience, least improvement and the budget of epochs.

    Returns:
        The state after the epoch, and what happens now: ``continue``; ``decay`` the learning rate;
        ``converged`` (second plateau), ``max_epochs`` (budget spent) or ``diverged`` end training.

    References:
        Appendix B: "After convergence, we decayed the learning rate once by a factor of 10 and
        continued the training"; a second decay brought nothing.
    """
    state = replace(state, epoch=state.epoch + 1)
    if not math.isfinite(train_loss):
        return state, "diverged"
    if train_loss < state.best_loss * (1 - config.min_improvement):
        state = replace(state, best_loss=train_loss, stale_epochs=0)
    else:
        state = replace(state, stale_epochs=state.stale_epochs + 1)
    if (end := ended(state, config)) is not None:
        return state, end
    if state.stale_epochs >= config.patience:
        return replace(state, decayed=True, best_loss=math.inf, stale_epochs=0), "decay"
    return state, "continue"


def ended(state: Convergence, config: TrainingConfig) -> Event | None:
    """Return what has ended a training that stands there: convergence, its budget; else None."""
    if state.decayed and state.stale_epochs >= config.patience:
        return "converged"
    return "max_epochs" if state.epoch >= config.max_epochs else None
