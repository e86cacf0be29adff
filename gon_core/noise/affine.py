"""AugMix's geometric operations: rotate, shear and translate, as Pillow does them.

Each takes images, severities from 0 to 10 and directions, one of each an image, and returns the
matrices that ``transform`` moves the images by. Pixels are interpolated linearly and cut to whole
levels; what comes from outside is black.

References:
    Hendrycks et al., "AugMix: a simple data processing method to improve robustness and
    uncertainty", 2020: severity 10 is 30 degrees, a shear of 0.3, a third of the width.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

GREATEST_SEVERITY = 10
ROUNDING = 1e-3  # what is a whole level stays one, whatever the grid's last bits are


def rotate(
    images: Float[Tensor, "n channel height width"],
    severity: Float[Tensor, " n"],
    sign: Float[Tensor, " n"],
) -> Float[Tensor, "n 2 3"]:
    """Turn images about their centre by whole degrees; counterclockwise where the sign is 1."""
    angle = (_whole(severity, 30.0) * sign).deg2rad()
    cosine, sine = angle.cos(), angle.sin()
    height, width = images.shape[2:]
    x, y = width / 2, height / 2
    first = torch.stack((cosine, -sine, x - cosine * x + sine * y), 1)
    second = torch.stack((sine, cosine, y - sine * x - cosine * y), 1)
    return torch.stack((first, second), 1)


def shear_x(
    images: Float[Tensor, "n channel height width"],
    severity: Float[Tensor, " n"],
    sign: Float[Tensor, " n"],
) -> Float[Tensor, "n 2 3"]:
    """Move each row by a share of its distance from the top."""
    return _identity(images, (0, 1), severity * 0.3 / GREATEST_SEVERITY * sign)


def shear_y(
    images: Float[Tensor, "n channel height width"],
    severity: Float[Tensor, " n"],
    sign: Float[Tensor, " n"],
) -> Float[Tensor, "n 2 3"]:
    """Move each column by a share of its distance from the left."""
    return _identity(images, (1, 0), severity * 0.3 / GREATEST_SEVERITY * sign)


def translate_x(
    images: Float[Tensor, "n channel height width"],
    severity: Float[Tensor, " n"],
    sign: Float[Tensor, " n"],
) -> Float[Tensor, "n 2 3"]:
    """Move images to the side by whole pixels."""
    return _identity(images, (0, 2), _whole(severity, images.shape[3] / 3) * sign)


def translate_y(
    images: Float[Tensor, "n channel height width"],
    severity: Float[Tensor, " n"],
    sign: Float[Tensor, " n"],
) -> Float[Tensor, "n 2 3"]:
    """Move images up or down by whole pixels."""
    return _identity(images, (1, 2), _whole(severity, images.shape[2] / 3) * sign)


def transform(
    images: Float[Tensor, "n channel height width"], matrix: Float[Tensor, "n 2 3"]
) -> Float[Tensor, "n channel height width"]:
    """Return images whose pixel at (x, y) comes from ``matrix @ (x, y, 1)``, as in Pillow.

    Pixels are in levels 0..255. Coordinates are of the centres of pixels: 0.5 is that of the first.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) + 0.5
    y = torch.arange(height, device=images.device)[:, None] + 0.5
    a, b, c = matrix[..., None, None].unbind(2)  # each [n, 2, 1, 1]: of x, of y, of 1
    source = a * x + b * y + c  # [n, 2, height, width]
    size = source.new_full((2, 1, 1), width)
    size[1].fill_(height)  # from numbers, which the host need not send to a GPU
    inside = ((source >= 0) & (source < size)).all(1, keepdim=True)
    grid = (2 * source / size - 1).movedim(1, -1)
    moved = F.grid_sample(images, grid, "bilinear", "border", align_corners=False)
    return (moved + ROUNDING).floor_() * inside


def unmoved(images: Float[Tensor, "n channel height width"]) -> Float[Tensor, "n 2 3"]:
    """Return matrices that leave images as they are."""
    return torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)


def _whole(severity: Float[Tensor, " n"], greatest: float) -> Float[Tensor, " n"]:
    """Return the whole part of a severity's share of what severity 10 is."""
    return (severity * greatest / GREATEST_SEVERITY).floor()


def _identity(
    images: Tensor, place: tuple[int, int], value: Float[Tensor, " n"]
) -> Float[Tensor, "n 2 3"]:
    """Return matrices that leave images as they are, but for one entry."""
    matrix = unmoved(images)
    matrix[:, place[0], place[1]] = value
    return matrix


OPERATIONS = (rotate, shear_x, shear_y, translate_x, translate_y)
