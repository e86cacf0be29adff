"""Pixel noise: shot_noise and impulse_noise."""

import torch
from jaxtyping import Float
from torch import Tensor

PHOTONS = 3.0
REPLACED_SHARE = 0.17


def shot_noise(
    images: Float[Tensor, "batch height width"], generator: torch.Generator
) -> Float[Tensor, "batch height width"]:
    """Poisson(3x) / 3, clipped to 1.

    Args:
        images: In [0, 1].
        generator: Source of one uniform draw per pixel.

    Returns:
        Images with the grey levels 0, 1/3, 2/3 and 1 only.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    draws = torch.rand(images.shape, generator=generator)
    rates = PHOTONS * images
    none = torch.exp(-rates)
    # Counts of three and more all clip to 1, so three steps of the distribution function suffice.
    at_most_one = none * (1 + rates)
    at_most_two = at_most_one + none * rates.square() / 2
    counts = (draws >= none).float() + (draws >= at_most_one) + (draws >= at_most_two)
    return counts / PHOTONS


def impulse_noise(
    images: Float[Tensor, "batch height width"], generator: torch.Generator
) -> Float[Tensor, "batch height width"]:
    """Salt and pepper: each pixel is replaced with probability 0.17, by 0 or 1 with equal odds.

    Args:
        images: In [0, 1].
        generator: Source of one uniform draw per pixel.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    draws = torch.rand(images.shape, generator=generator)
    salted = images.masked_fill(draws >= 1 - REPLACED_SHARE / 2, 1.0)
    return salted.masked_fill_(draws < REPLACED_SHARE / 2, 0.0)
