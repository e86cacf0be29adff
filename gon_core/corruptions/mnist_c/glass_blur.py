"""glass_blur: neighbouring pixels swapped one after the other, between two blurs."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gon_core.corruptions.gaussian import blur_matrix

SIGMA = 0.7
PASSES = 2
CASES = 8
MARGIN = 2


def glass_blur(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    sigma: float = SIGMA,
    passes: int = PASSES,
    cases: int = CASES,
) -> Float[Tensor, "batch height width"]:
    """Blurred, passes of local swaps from the last pixel to the first, blurred again.

    In the published set a pixel is swapped, with probability 1/2, with the one at (-1 or 0, -1 or
    0) from it; later swaps see earlier ones. The blur runs along the columns only, as the published
    images have it, and the first one is rounded down to 8 bits.

    Args:
        images: In [0, 1].
        generator: Source of one draw per pass and pixel.
        sigma: Of the blur, in pixels, 0.7 in the published set.
        passes: Of the swaps, 2 in the published set.
        cases: Equally probable ones, 8 in the published set, of which three swap a pixel with
            another; more make fewer swaps. 4 to 256.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    batch, height, width = images.shape
    blur = blur_matrix(height, sigma, beyond_edge="nearest")
    # A grey level that the blur leaves alone must not fall below itself through rounding errors.
    levels = (blur @ images * 255 + 1e-3).to(torch.uint8)
    # A swap by (0, 0), the published set's fourth, is among the cases that change nothing.
    choices = torch.randint(
        0, cases, (passes, height, width, batch), dtype=torch.uint8, generator=generator
    )
    swapped = swap_pixels(levels.permute(1, 2, 0).contiguous(), choices)
    return blur @ (swapped.permute(2, 0, 1).float() / 255)


def swap_pixels(
    pixels: UInt8[Tensor, "height width batch"],
    choices: UInt8[Tensor, "passes height width batch"],
) -> UInt8[Tensor, "height width batch"]:
    """Swaps pixels with a neighbour in descending order of rows, then columns, once per pass.

    Swaps at (r, c) and (r - 1, c + 2) touch no common pixel, and every earlier swap that touches
    a pixel of either has run a step before: so all pixels on such a line are swapped at once.
    The result is that of the sequential loop.

    Args:
        pixels: Grey levels, the batch last. Changed in place.
        choices: 1 swaps with the pixel to the left, 2 with the one above, 3 with the one above
            left, anything else does nothing. The first two rows and columns are not read.

    Returns:
        `pixels`.
    """
    height, width, batch = pixels.shape
    flat = pixels.view(height * width, batch)
    steps_back = (1, width, width + 1)
    for choice in choices.view(len(choices), height * width, batch):
        # All bits set where the case is chosen: -1 is 255 in eight bits.
        masks = [(choice == case).to(torch.uint8).neg_() for case in (1, 2, 3)]
        for first, last in _lines(height, width):
            here = flat[first : last + 1 : width - 2]
            for mask, back in zip(masks, steps_back, strict=True):
                there = flat[first - back : last - back + 1 : width - 2]
                difference = (here ^ there).bitwise_and_(mask[first : last + 1 : width - 2])
                here ^= difference
                there ^= difference
    return pixels


def _lines(height: int, width: int) -> list[tuple[int, int]]:
    """First and last flat index of each set of pixels that can be swapped at once, in order."""
    lines = []
    rows, columns = height - MARGIN, width - MARGIN
    for step in range(columns + 2 * (rows - 1)):
        lowest = max(0, (step - columns + 2) // 2)
        highest = min(rows - 1, step // 2)
        indices = [(height - 1 - j) * width + width - 1 - (step - 2 * j) for j in (highest, lowest)]
        lines.append((indices[0], indices[1]))
    return lines
