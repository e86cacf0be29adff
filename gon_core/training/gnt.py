"""Gaussian noise training (GNT) with one sigma."""

import torch

from gon_core.config import GNT, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise import add_gaussian_noise
from gon_core.training.descent import descend
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: GNT, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch of which ``noisy_share`` carries noise, the rest is clean.

    References:
        Section 4.2 and appendix H of the paper: every batch is split evenly into clean images and
        images with Gaussian noise of one standard deviation.
    """

    def step(state: TrainingState, images, labels):
        clean, noisy = images.split(split_batch(len(images), method.noisy_share))
        noisy = add_gaussian_noise(noisy, method.sigma, state.streams["noise"])
        batch = torch.cat([clean, noisy])
        return descend(state, batch, labels, bf16=training.precision == "bf16")

    return step


def split_batch(batch_size: int, noisy_share: float) -> list[int]:
    """Return how many images of a batch stay clean and how many get noise.

    An odd image of an even split goes to the noisy part, so that a batch of one is never clean.
    """
    clean = int(batch_size * (1 - noisy_share) + 1e-9)
    return [clean, batch_size - clean]
