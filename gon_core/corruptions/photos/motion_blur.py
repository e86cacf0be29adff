"""motion_blur: a one-sided Gaussian trail along a random direction, as ImageMagick makes it."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from gon_core.corruptions.photos.draws import Draws

LARGEST_ANGLE = 45.0  # degrees


def motion_blur(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, radius: int, sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images blurred along a direction within 45 degrees of the rows.

    Args:
        images: in [0, 1].
        draws: one angle an image.
        radius: the trail has twice as many pixels, and one.
        sigma: of the trail's weights, in pixels.
    """
    return blur_along(images, draws.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, 1), radius, sigma)


def blur_along(
    images: Float[Tensor, "batch channel height width"],
    angles: Float[Tensor, "batch 1"],
    radius: int,
    sigma: float,
) -> Float[Tensor, "batch channel height width"]:
    """Return images blurred along one direction each.

    Pixel i of the trail weighs exp(-i^2 / (2 sigma^2)) and is read at the distance i, rounded to
    whole pixels; beyond the edge the edge pixel is repeated.

    Args:
        images: in [0, 1].
        angles: in degrees from the row downwards.
        radius: the trail has twice as many pixels, and one.
        sigma: of the trail's weights, in pixels.
    """
    distances = np.arange(2 * radius + 1)
    weights = np.exp(-(distances**2) / (2 * sigma**2))
    weights /= weights.sum()
    reach = 2 * radius
    height, width = images.shape[-2:]
    blurred = torch.zeros_like(images)
    padded = pad(images, (reach,) * 4, mode="replicate")
    for image, result, angle in zip(padded, blurred, angles.flatten().tolist(), strict=True):
        radians = math.radians(angle)
        columns = reach + np.ceil(distances * math.cos(radians) - 0.5).astype(int)
        rows = reach + np.ceil(distances * math.sin(radians) - 0.5).astype(int)
        # Slices, not an index for each pixel, which is ten times slower.
        for weight, row, column in zip(weights.tolist(), rows, columns, strict=True):
            shown = image[:, row : row + height, column : column + width]
            result.add_(shown, alpha=weight)
    return blurred
