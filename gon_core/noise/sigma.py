"""One standard deviation for each image, drawn at random."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def choose(
    sigmas: Sequence[float],
    images: Float[Tensor, "batch channel height width"],
    generator: Generator,
) -> Float[Tensor, " batch"]:
    """Return one of ``sigmas`` for each of ``images``, each with equal odds."""
    chosen = torch.randint(len(sigmas), (len(images),), generator=generator, device=images.device)
    return images.new_tensor(sigmas)[chosen]


def uniform(
    sigma_max: float, images: Float[Tensor, "batch channel height width"], generator: Generator
) -> Float[Tensor, " batch"]:
    """Return a number in [0, ``sigma_max``) for each of ``images``."""
    return images.new_empty(len(images)).uniform_(0, 1, generator=generator) * sigma_max


def per_pixel(
    sigma: float | Float[Tensor, " batch"],
) -> float | Float[Tensor, "batch 1 1 1"]:
    """Return ``sigma`` so that it multiplies a batch of images.

    Raises:
        ValueError: a sigma is negative or not finite.
    """
    if isinstance(sigma, Tensor):
        if not ((sigma >= 0) & (sigma < torch.inf)).all():
            raise ValueError(f"sigma must be finite numbers >= 0, got {sigma.tolist()}")
        return sigma.view(-1, 1, 1, 1)
    if not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma must be a finite number >= 0, got {sigma}")
    return sigma
