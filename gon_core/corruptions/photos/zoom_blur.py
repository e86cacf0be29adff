"""zoom_blur: the mean of an image at several magnifications."""

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from gon_core.corruptions.photos.draws import Draws


def zoom_blur(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, end: float, step: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return the mean of the images and of their magnifications.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        end: magnifications are 1, 1 + step, ... below it; rounding lets some ends in, as in the
            published sets.
        step: between magnifications.
    """
    factors = np.arange(1, end, step).tolist()
    total = images.clone()
    for factor in factors:
        total += magnified(images, factor)
    return total / (len(factors) + 1)


def magnified(
    images: Float[Tensor, "batch channel height width"], factor: float
) -> Float[Tensor, "batch channel height width"]:
    """Return the centre of square images, magnified to their size, bilinear between pixels."""
    side = images.shape[-1]
    crop = math.ceil(side / factor)
    first = (side - crop) // 2
    centre = images[..., first : first + crop, first : first + crop]
    size = round(crop * factor)
    larger = interpolate(centre, (size, size), mode="bilinear", align_corners=True)
    trim = (size - side) // 2
    return larger[..., trim : trim + side, trim : trim + side]
