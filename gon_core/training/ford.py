"""Gaussian noise training as Ford et al. do it: every image noisy, sigma uniform."""

from gon_core.config import Ford, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise import add_gaussian_noise, sigma
from gon_core.training.descent import descend
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: Ford, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch in which every image has noise with its own sigma.

    References:
        Appendix H: the authors of the Game of Noise split each batch instead, and keep to one
        sigma. Ford et al. train from random weights; where this starts is the trial's ``start``.
    """

    def step(state: TrainingState, images, labels):
        stream = state.streams["noise"]
        sigmas = sigma.uniform(method.sigma_max, images, stream)
        noisy = add_gaussian_noise(images, sigmas, stream)
        return descend(state, noisy, labels, bf16=training.precision == "bf16")

    return step
