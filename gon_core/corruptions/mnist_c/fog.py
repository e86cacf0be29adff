"""fog: a plasma fractal laid over the image."""

import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.corruptions.plasma import plasma_patches

DENSITY = 3.0
MAP_SIZE = 256
WIBBLE_DECAY = 1.4
MAPS_AT_ONCE = 10


def fog(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    density: float = DENSITY,
) -> Float[Tensor, "batch height width"]:
    """(x + d P) m / (m + d), clipped, with m the largest value of x and P a plasma in [0, 1].

    Args:
        images: In [0, 1], at most 256 pixels a side.
        generator: Source of one draw per point of each image's 256 x 256 map.
        density: d, 3 in the published set.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019; the diamond-square
        plasma is that of Hendrycks & Dietterich, Benchmarking Neural Network Robustness, 2019.
    """
    batch, height, width = images.shape
    assert height == width, "plasma patches are square"
    # Few maps at a time, so that they stay in the cache.
    patches = []
    for first in range(0, batch, MAPS_AT_ONCE):
        draws = _uniform_draws(min(MAPS_AT_ONCE, batch - first), MAP_SIZE**2, generator)
        patches.append(plasma_patches(draws, height, WIBBLE_DECAY))
    brightest = images.amax(dim=(1, 2), keepdim=True)
    foggy = (images + density * torch.cat(patches)) * (brightest / (brightest + density))
    return foggy.clamp_(0.0, 1.0)


def _uniform_draws(
    batch: int, count: int, generator: torch.Generator
) -> Float[Tensor, "batch count"]:
    """Uniform in [-1, 1), 16 bits each: four from one 64-bit number take a quarter of the time."""
    bits = torch.empty(batch, count // 4, dtype=torch.int64)
    bits.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    return bits.view(torch.int16).float().mul_(2.0**-15)
