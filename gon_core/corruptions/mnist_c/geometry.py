"""Movements of the image: shear, scale, rotate and translate."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

SHEAR_ANGLE = 0.4
ROTATION_ANGLE = 0.4
SCALE = 0.7
SHIFT = 3


def shear(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    angle: float = SHEAR_ANGLE,
) -> Float[Tensor, "batch height width"]:
    """Sheared to a random side: the input is sampled at [[1, -sin], [0, cos]] (c, r).

    Args:
        images: In [0, 1].
        generator: Source of one sign per image.
        angle: In radians, to either side.

    Returns:
        Images in [0, 1], zero where the sample lies outside the input.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019. The matrix is the
        shear that scikit-image used until version 0.19; later ones have the tangent.
    """
    signs = _random_signs(len(images), generator)
    angles = angle * signs
    one, zero = torch.ones_like(angles), torch.zeros_like(angles)
    return _sample_about_centre(images, _rows([one, -angles.sin()], [zero, angles.cos()]))


def scale(
    images: Float[Tensor, "batch height width"], generator: torch.Generator, factor: float = SCALE
) -> Float[Tensor, "batch height width"]:
    """Shrunk to a part of its size, 0.7 in the published set, about the centre.

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.
        factor: Of the size, below 1.

    Returns:
        Images in [0, 1], zero outside the shrunken input.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    return _sample_about_centre(images, (torch.eye(2) / factor).expand(len(images), 2, 2))


def rotate(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    angle: float = ROTATION_ANGLE,
) -> Float[Tensor, "batch height width"]:
    """Rotated, by 0.4 rad in the published set, about the centre, clockwise or counter-clockwise.

    Args:
        images: In [0, 1].
        generator: Source of one sign per image.
        angle: In radians, to either side.

    Returns:
        Images in [0, 1], zero where the sample lies outside the input.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    angles = angle * _random_signs(len(images), generator)
    sin, cos = angles.sin(), angles.cos()
    return _sample_about_centre(images, _rows([cos, -sin], [sin, cos]))


def translate(
    images: Float[Tensor, "batch height width"], generator: torch.Generator, shift: int = SHIFT
) -> Float[Tensor, "batch height width"]:
    """Moved along each axis, by 3 pixels in the published set, to random sides; zeros move in.

    Args:
        images: In [0, 1].
        generator: Source of two signs per image.
        shift: In pixels, at least 1.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    batch, height, width = images.shape
    down, right = torch.randint(0, 2, (2, batch), generator=generator)
    padded = pad(images, (shift, shift, shift, shift))
    # The four windows [batch, 2, 2, height, width] start 0 or 2 * shift rows and columns in.
    windows = padded.unfold(1, height, 2 * shift).unfold(2, width, 2 * shift)
    return windows[torch.arange(batch), down, right]


def _random_signs(batch: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
    return 2.0 * torch.randint(0, 2, (batch,), generator=generator) - 1.0


def _rows(
    first: list[Float[Tensor, " batch"]], second: list[Float[Tensor, " batch"]]
) -> Float[Tensor, "batch 2 2"]:
    return torch.stack([torch.stack(first, dim=-1), torch.stack(second, dim=-1)], dim=-2)


def _sample_about_centre(
    images: Float[Tensor, "batch height width"], matrices: Float[Tensor, "batch 2 2"]
) -> Float[Tensor, "batch height width"]:
    """Each output pixel at (c, r) from the centre takes the input at matrix @ (c, r), bilinear."""
    batch, height, width = images.shape
    assert height == width, "the normalised grid is isotropic on square images only"
    affine = pad(matrices, (0, 1))
    grid = affine_grid(affine, [batch, 1, height, width], align_corners=True)
    return grid_sample(images[:, None], grid, padding_mode="zeros", align_corners=True)[:, 0]
