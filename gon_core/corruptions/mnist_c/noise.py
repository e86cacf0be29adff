"""Pixel noise: shot_noise and impulse_noise."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

PHOTONS = 3
REPLACED_SHARE = 0.17


def shot_noise(
    images: Float[Tensor, "batch height width"], generator: torch.Generator, photons: int = PHOTONS
) -> Float[Tensor, "batch height width"]:
    """Poisson(p x) / p of p photons, clipped to 1; 3 photons in the published set.

    Args:
        images: In [0, 1].
        generator: Source of one uniform draw per pixel.
        photons: What a white pixel receives on average; fewer make more noise.

    Returns:
        Images with the grey levels 0, 1/p, 2/p, ... and 1 only.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    draws = torch.rand(images.shape, generator=generator)
    rates = photons * images
    none = torch.exp(-rates)
    counts = (draws >= none).float()
    # Counts of as many and more all clip to 1, so as many steps of the distribution suffice.
    at_most = none * (1 + rates)
    for count in range(2, photons + 1):
        counts += draws >= at_most
        at_most = at_most + none * rates.pow(count) / math.factorial(count)
    return counts / photons


def impulse_noise(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    share: float = REPLACED_SHARE,
) -> Float[Tensor, "batch height width"]:
    """Salt and pepper: pixels are replaced by 0 or 1 with equal odds; 17 % in the published set.

    Args:
        images: In [0, 1].
        generator: Source of one uniform draw per pixel.
        share: Probability that a pixel is replaced.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    draws = torch.rand(images.shape, generator=generator)
    salted = images.masked_fill(draws >= 1 - share / 2, 1.0)
    return salted.masked_fill_(draws < share / 2, 0.0)
