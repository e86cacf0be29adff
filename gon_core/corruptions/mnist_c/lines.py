"""Soft lines drawn over the digit: dotted_line and zigzag."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

LINE_REACH = 2.3
DOT_LENGTH = 2
ZIGZAG_COLUMNS = (2, 25)
ZIGZAG_AMPLITUDE = 2.0
HALF_CORNER_DISTANCE = 2.0
CORNERS = torch.arange(2.0, 23.0, 2 * HALF_CORNER_DISTANCE)
"""Distances of the corners from the start, in pixels along the middle line."""


def dotted_line(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    reach: float = LINE_REACH,
) -> Float[Tensor, "batch height width"]:
    """A soft line from the left edge to the right one, with gaps two columns wide.

    Args:
        images: In [0, 1].
        generator: Source of two row numbers per image, both from 0 to height - 2.
        reach: Of the line's softness in pixels: a greater one makes it thicker.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    batch, height, width = images.shape
    left, right = torch.randint(0, height - 1, (2, batch, 1), generator=generator)
    columns = torch.arange(width)
    rows = left + (right - left) * columns / (width - 1)
    # The line covers columns from its start up to but without its end: the last column stays free.
    drawn = (columns // DOT_LENGTH % 2 == 1) & (columns < width - 1)
    return (images + _intensity(rows, height, reach) * drawn).clamp_(max=1.0)


def zigzag(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    reach: float = LINE_REACH,
) -> Float[Tensor, "batch height width"]:
    """A soft zigzag about a slightly tilted line from column 2 to column 25.

    Args:
        images: In [0, 1].
        generator: Source of the first row, from 0 to height - 2, and of the rise, from -5 to 4,
            of each image's line.
        reach: Of the line's softness in pixels: a greater one makes it thicker.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    batch, height, width = images.shape
    start = torch.randint(0, height - 1, (batch, 1), generator=generator)
    rise = torch.randint(-5, 5, (batch, 1), generator=generator)
    corner_columns, corner_rows = _zigzag_corners(start, rise)
    first_columns, last_columns = corner_columns[:, :-1], corner_columns[:, 1:]
    slopes = (corner_rows[:, 1:] - corner_rows[:, :-1]) / (last_columns - first_columns)
    drawn = images.clone()
    columns = torch.arange(width)
    for k in range(slopes.shape[1]):
        first, last = first_columns[:, k, None], last_columns[:, k, None]
        rows = corner_rows[:, k, None] + slopes[:, k, None] * (columns - first)
        covered = (columns >= first.floor()) & (columns < last.ceil())
        drawn += _intensity(rows, height, reach) * covered[:, None]
    return drawn.clamp_(max=1.0)


def _zigzag_corners(
    start: Int[Tensor, "batch 1"], rise: Int[Tensor, "batch 1"]
) -> tuple[Float[Tensor, "batch corners"], Float[Tensor, "batch corners"]]:
    """Columns and rows of the ends of all segments, in order."""
    first, last = ZIGZAG_COLUMNS
    length = torch.hypot(torch.tensor(float(last - first)), rise.float())
    cos, sin = (last - first) / length, rise / length
    along = torch.cat([torch.zeros_like(length), CORNERS.expand(len(start), -1), length], dim=1)
    across = torch.full_like(along, ZIGZAG_AMPLITUDE)
    across[:, 2::2] *= -1
    across[:, 0] = 0.0
    # The published zigzags end this little above the middle line, not on it.
    across[:, -1:] = -1 / (length - CORNERS[-1] + HALF_CORNER_DISTANCE)
    return first + along * cos - across * sin, start + along * sin + across * cos


def _intensity(
    rows: Float[Tensor, "batch width"], height: int, reach: float
) -> Float[Tensor, "batch height width"]:
    """1 + log(1 - d / reach), clipped to [0, 1], for each pixel d rows away from the line."""
    distance = (torch.arange(height)[:, None] - rows[:, None]).abs_()
    # The intensity is zero long before the logarithm's pole, from which the clamp keeps away.
    share = distance.clamp_(max=reach - 1e-3).div_(reach)
    return share.neg_().log1p_().add_(1.0).clamp_(min=0.0)
