"""gaussian_noise, shot_noise, impulse_noise and speckle_noise: every value of a photo alone."""

import functools

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws

LEVELS = 256
TAIL = 1e-12  # probability of counts that no table has


def gaussian_noise(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return x + sigma N.

    Args:
        images: in [0, 1].
        draws: one normal number a value.
        sigma: standard deviation in [0, 1] pixel units.
    """
    return draws.normal(*images.shape[1:]).mul_(sigma).add_(images)


def speckle_noise(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return x + sigma x N.

    Args:
        images: in [0, 1].
        draws: one normal number a value.
        sigma: standard deviation relative to each value.
    """
    return draws.normal(*images.shape[1:]).mul_(sigma).add_(1).mul_(images)


def impulse_noise(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, amount: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return x with some values replaced by 0 or 1 with equal odds, each channel by itself.

    Args:
        images: in [0, 1].
        draws: one uniform number a value.
        amount: probability that a value is replaced.
    """
    uniform = draws.uniform(0.0, 1.0, *images.shape[1:])
    salted = images.masked_fill(uniform < amount, 1.0)
    return salted.masked_fill_(uniform < amount / 2, 0.0)


def shot_noise(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, photons: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return Poisson(p x) / p.

    One uniform number becomes a count by Walker's alias method, so that a CPU and a GPU come to the
    same count from the same number.

    Args:
        images: multiples of 1/255 in [0, 1].
        draws: one uniform number a value.
        photons: p, what a white pixel receives on average.

    References:
        Walker, "An efficient method for generating discrete random variables with general
        distributions", 1977.
    """
    keep, alias = (table.to(images.device) for table in _poisson_tables(photons))
    counts = alias.shape[1]
    scaled = draws.uniform(0.0, 1.0, *images.shape[1:]).mul_(counts)
    column = scaled.long().clamp_(max=counts - 1)
    entry = (images * 255).round_().long().mul_(counts).add_(column)
    scaled -= column
    values = torch.where(scaled < keep.view(-1)[entry], column.float(), alias.view(-1)[entry])
    return values / photons


@functools.cache
def _poisson_tables(photons: float) -> tuple[Tensor, Tensor]:
    """Return Walker's tables for each grey level: a column's own odds, and its other count."""
    rates = np.arange(LEVELS) * photons / 255
    counts = int(stats.poisson.isf(TAIL, photons)) + 1
    share = stats.poisson.pmf(np.arange(counts), rates[:, None]) * counts
    share *= counts / share.sum(axis=1, keepdims=True)
    keep, alias = np.ones_like(share), np.tile(np.arange(counts), (LEVELS, 1))
    rows, is_open = np.arange(LEVELS), np.ones(share.shape, bool)
    for _ in range(counts - 1):
        # The emptiest column is filled up from the fullest, and is done.
        least = np.where(is_open, share, np.inf).argmin(axis=1)
        most = np.where(is_open, share, -np.inf).argmax(axis=1)
        keep[rows, least], alias[rows, least] = share[rows, least], most
        share[rows, most] -= 1 - share[rows, least]
        is_open[rows, least] = False
    return torch.from_numpy(keep).float(), torch.from_numpy(alias).float()
