"""Gaussian noise training with several sigmas (GNT_mult)."""

import torch

from gon_core.config import GNTMult, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise import add_gaussian_noise, sigma
from gon_core.training.descent import descend
from gon_core.training.gnt import split_batch
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: GNTMult, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch of clean images, then of noisy ones with a sigma each.

    References:
        Appendix D, Tables 4 and 5: the sigmas are those of Gaussian noise in ImageNet-C.
    """
    sigmas = torch.tensor(method.sigmas, device=data.device)

    def step(state: TrainingState, images, labels):
        stream = state.streams["noise"]
        clean, noisy = images.split(split_batch(len(images), method.noisy_share))
        noisy = add_gaussian_noise(noisy, sigma.choose(sigmas, noisy, stream), stream)
        batch = torch.cat([clean, noisy])
        return descend(state, batch, labels, bf16=training.precision == "bf16")

    return step
