"""motion_blur: a one-sided Gaussian trail along a random direction."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

RADIUS = 10
SIGMA = 3.0
LARGEST_ANGLE = math.radians(45)


def motion_blur(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    radius: int = RADIUS,
    sigma: float = SIGMA,
) -> Float[Tensor, "batch height width"]:
    """Blurred along a direction uniform in [-45, 45] degrees, an own one for every image.

    Args:
        images: In [0, 1].
        generator: Source of one angle per image.
        radius: The trail has twice as many taps, and one.
        sigma: Of the trail's weights, in pixels.

    Returns:
        Images in [0, 1], rounded down to multiples of 1/255.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    uniform = torch.rand(len(images), generator=generator)
    return blur_along(images, LARGEST_ANGLE * (2 * uniform - 1), radius, sigma)


def blur_along(
    images: Float[Tensor, "batch height width"],
    angles: Float[Tensor, " batch"],
    radius: int = RADIUS,
    sigma: float = SIGMA,
) -> Float[Tensor, "batch height width"]:
    """The motion blur of ImageMagick, in the published set with radius 10 and sigma 3.

    Tap i of 2 radius + 1 weighs exp(-i^2 / (2 sigma^2)) and reads the pixel at distance i along the
    direction, rounded to whole pixels; beyond the edge the edge pixel is repeated.

    Args:
        images: In [0, 1].
        angles: Of the direction that is read along, in radians, from 0 (to the right) downwards.
        radius: The trail has twice as many taps, and one.
        sigma: Of the trail's weights, in pixels.

    Returns:
        Images in [0, 1], rounded down to multiples of 1/255 as ImageMagick does.
    """
    batch, height, width = images.shape
    taps = 2 * radius + 1
    reach = taps - 1
    padded = pad(images[:, None] * 255, (reach, reach, reach, reach), mode="replicate").flatten(1)
    padded_width = width + 2 * reach
    pixels = (reach + torch.arange(height)[:, None]) * padded_width + reach + torch.arange(width)
    blurred = torch.zeros(batch, height * width)
    offsets = _offsets(angles, padded_width, taps).T
    for weight, offset in zip(_weights(taps, sigma).tolist(), offsets, strict=True):
        blurred.add_(padded.gather(1, pixels.flatten() + offset[:, None]), alpha=weight)
    # The small addend keeps a whole grey level from falling to the next through rounding errors.
    return blurred.add_(1e-3).floor_().div_(255).view(batch, height, width)


def _weights(taps: int, sigma: float) -> Float[Tensor, " taps"]:
    weights = torch.exp(-torch.arange(taps).double().square() / (2 * sigma**2))
    return weights / weights.sum()


def _offsets(
    angles: Float[Tensor, " batch"], padded_width: int, taps: int
) -> Int[Tensor, "batch taps"]:
    """How far each tap lies from its pixel in the flattened padded image."""
    distances = torch.arange(taps)
    right = torch.ceil(distances * angles.cos()[:, None] - 0.5).long()
    down = torch.ceil(distances * angles.sin()[:, None] - 0.5).long()
    return down * padded_width + right
