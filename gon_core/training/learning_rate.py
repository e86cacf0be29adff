"""The learning rate of every step: warm-up, then decays at plateaus or by a schedule."""

from gon_core.config import TrainingConfig
from gon_core.training.convergence import Convergence


def learning_rate(
    config: TrainingConfig, state: Convergence, step: int, steps_per_epoch: int
) -> float:
    """Return the learning rate of one step.

    Args:
        config: the first learning rate, warm-up and decays.
        state: where the training is: its finished epochs, and how often it has decayed.
        step: of the current epoch, from 0.
        steps_per_epoch: at least 1.
    """
    if config.decay_epochs:
        decays = sum(epoch <= state.epoch for epoch in config.decay_epochs)
    else:
        decays = state.decayed
    rate = config.learning_rate * config.decay_factor**decays
    warm_up = config.warm_up_epochs * steps_per_epoch
    taken = state.epoch * steps_per_epoch + step + 1
    if taken < warm_up:
        return rate * taken / warm_up
    if config.anneals:
        steps = config.max_epochs * steps_per_epoch
        rate *= (steps + 1 - taken) / (steps + 1 - max(1, warm_up))
    return rate
