"""Noise inside one square patch of each image."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from gon_core.noise.gaussian import add_gaussian_noise


def add_patch_gaussian_noise(
    images: Float[Tensor, "batch channel height width"],
    sigma: float | Float[Tensor, " batch"],
    patch_size: int | Int64[Tensor, " batch"],
    generator: Generator,
) -> Float[Tensor, "batch channel height width"]:
    """Return ``clip(images + N(0, sigma^2), 0, 1)`` inside a random patch, ``images`` outside.

    Args:
        images: values in [0, 1].
        sigma: standard deviation as for ``add_gaussian_noise``.
        patch_size: see ``draw_patches``.
        generator: source of the patches and the noise, on the images' device.

    Raises:
        ValueError: see ``add_gaussian_noise`` and ``draw_patches``.

    References:
        Lopes et al., "Improving robustness without sacrificing accuracy with Patch Gaussian
        augmentation", 2019.
    """
    patches = draw_patches(images, patch_size, generator)
    return torch.where(patches, add_gaussian_noise(images, sigma, generator), images)


def draw_patches(
    images: Float[Tensor, "batch channel height width"],
    patch_size: int | Int64[Tensor, " batch"],
    generator: Generator,
) -> Bool[Tensor, "batch 1 height width"]:
    """Return which pixels are inside each image's patch.

    The centre is any pixel with equal odds, so that the border may cut a patch off. A patch of an
    even size reaches one pixel farther up and left than down and right.

    Args:
        images: of any content.
        patch_size: side of the square in pixels, at least 1; or one for each image, at least 0.
        generator: source of the centres, on the images' device.

    Raises:
        ValueError: ``patch_size`` is below 1.
    """
    if isinstance(patch_size, Tensor):
        side = patch_size[:, None]
    elif patch_size >= 1:
        side = patch_size
    else:
        raise ValueError(f"patch_size must be at least 1, got {patch_size}")

    def draw_span(length: int) -> Bool[Tensor, "batch length"]:
        pixels = torch.arange(length, device=images.device)
        shape = (len(images), 1)
        centre = torch.randint(length, shape, generator=generator, device=images.device)
        first = centre - side // 2
        return (pixels >= first) & (pixels < first + side)

    rows, columns = draw_span(images.shape[2]), draw_span(images.shape[3])
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
