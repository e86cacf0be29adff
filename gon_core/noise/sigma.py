"""One standard deviation for each image, drawn at random."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def choose(
    sigmas: Float[Tensor, " choice"],
    images: Float[Tensor, "batch channel height width"],
    generator: Generator,
) -> Float[Tensor, " batch"]:
    """Return one of ``sigmas``, on the images' device, for each image, with equal odds."""
    chosen = torch.randint(len(sigmas), (len(images),), generator=generator, device=images.device)
    return sigmas[chosen]


def uniform(
    sigma_max: float, images: Float[Tensor, "batch channel height width"], generator: Generator
) -> Float[Tensor, " batch"]:
    """Return a number in [0, ``sigma_max``) for each of ``images``."""
    return images.new_empty(len(images)).uniform_(0, 1, generator=generator) * sigma_max


def per_pixel(
    sigma: float | Float[Tensor, " batch"],
) -> float | Float[Tensor, "batch 1 1 1"]:
    """Return ``sigma`` in a shape that multiplies a batch of images.

    The values of a tensor are not checked: reading them would make the host wait for the device.

    Raises:
        ValueError: ``sigma`` is one number, and negative or not finite.
    """
    if isinstance(sigma, Tensor):
        return sigma.view(-1, 1, 1, 1)
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma must be a finite number >= 0, got {sigma}")
    return sigma
