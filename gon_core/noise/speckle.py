"""Speckle noise: in proportion to each pixel, so that black stays black."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gon_core.noise.sigma import per_pixel


def add_speckle_noise(
    images: Float[Tensor, "batch channel height width"],
    sigma: float | Float[Tensor, " batch"],
    generator: Generator,
) -> Float[Tensor, "batch channel height width"]:
    """Return ``clip(images + images * N(0, sigma^2), 0, 1)``.

    Args:
        images: values in [0, 1].
        sigma: standard deviation before clipping, relative to each pixel, >= 0; one for all images
            or one for each.
        generator: source of the noise, on the images' device.

    Raises:
        ValueError: ``sigma`` is one number, and negative or not finite.

    References:
        Appendix B: the speckle noise of Hendrycks and Dietterich's ImageNet-C.
    """
    factor = per_pixel(sigma)
    noise = torch.empty_like(images).normal_(0.0, 1.0, generator=generator)
    return noise.mul_(factor).mul_(images).add_(images).clamp_(0.0, 1.0)
