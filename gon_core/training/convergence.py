"""When the learning rate decays and a training ends: by plateaus, or after given epochs."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from gon_core.config import TrainingConfig

Event = Literal["continue", "decay", "converged", "max_epochs", "diverged"]


@dataclass(frozen=True)
class Convergence:
    """Where a training stands.

    Attributes:
        epoch: finished epochs.
        decayed: how often the learning rate has decayed.
        best_loss: the training loss that the next epochs must improve on, in nats.
        stale_epochs: epochs since it was reached, after the warm-up.
    """

    epoch: int = 0
    decayed: int = 0
    best_loss: float = math.inf
    stale_epochs: int = 0


def advance(
    state: Convergence, train_loss: float, config: TrainingConfig
) -> tuple[Convergence, Event]:
    """Take in the mean training loss of one more epoch.

    Args:
        state: before the epoch.
        train_loss: its mean loss in nats; NaN and infinity mean divergence.
        config: patience, least improvement, and epochs of the warm-up, the decays and the limit.

    Returns:
        The state after the epoch, and what follows it: ``continue``; ``decay`` of the learning
        rate; ``converged`` (the plateau after the last decay), ``max_epochs`` (the limit) or
        ``diverged`` end the training.

    References:
        Appendix B: "After convergence, we decayed the learning rate once by a factor of 10 and
        continued the training"; a second decay brought nothing.
    """
    state = replace(state, epoch=state.epoch + 1)
    if not math.isfinite(train_loss):
        return state, "diverged"
    if train_loss < state.best_loss * (1 - config.min_improvement):
        state = replace(state, best_loss=train_loss, stale_epochs=0)
    elif state.epoch > config.warm_up_epochs:
        state = replace(state, stale_epochs=state.stale_epochs + 1)
    if (end := ended(state, config)) is not None:
        return state, end
    if config.is_scheduled:
        is_due = state.epoch in config.decay_epochs
        decayed = state.decayed + is_due
        return replace(state, decayed=decayed), "decay" if is_due else "continue"
    if state.stale_epochs >= config.patience:
        decayed = state.decayed + 1
        return replace(state, decayed=decayed, best_loss=math.inf, stale_epochs=0), "decay"
    return state, "continue"


def ended(state: Convergence, config: TrainingConfig) -> Event | None:
    """Return what has ended a training in this state, convergence or its limit; None if nothing."""
    has_decayed = state.decayed >= config.decays
    if has_decayed and state.stale_epochs >= config.patience and not config.is_scheduled:
        return "converged"
    return "max_epochs" if state.epoch >= config.max_epochs else None
