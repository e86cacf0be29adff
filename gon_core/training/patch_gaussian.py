"""Patch Gaussian: noise in one square patch of every image, so that the rest stays sharp."""

import torch

from gon_core.config import PatchGaussian, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise import add_patch_gaussian_noise, sigma
from gon_core.training.descent import descend
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: PatchGaussian, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch in which every image has a noisy patch.

    References:
        Lopes et al., "Improving robustness without sacrificing accuracy with Patch Gaussian
        augmentation", 2019. Flips and crops, which they use beside it, are left out: digits are
        not symmetric, and the other methods here have none either.
    """

    def step(state: TrainingState, images, labels):
        stream = state.streams["noise"]
        sigmas = sigma.uniform(method.sigma_max, images, stream)
        size = method.patch_size
        if method.random_size:
            shape, device = (len(images),), images.device
            size = torch.randint(method.patch_size, shape, generator=stream, device=device)
        patched = add_patch_gaussian_noise(images, sigmas, size, stream)
        return descend(state, patched, labels, bf16=training.precision == "bf16")

    return step
