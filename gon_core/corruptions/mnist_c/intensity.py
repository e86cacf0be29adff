"""Changes of the grey levels alone: brightness and stripe."""

import torch
from jaxtyping import Float
from torch import Tensor

BRIGHTER_BY = 0.5
STRIPE_WIDTH = 7


def brightness(
    images: Float[Tensor, "batch height width"], generator: torch.Generator
) -> Float[Tensor, "batch height width"]:
    """Half of the full range added, clipped to 1 (the value channel of HSV; greys stay grey).

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.

    Returns:
        Images in [0.5, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    return (images + BRIGHTER_BY).clamp_(max=1.0)


def stripe(
    images: Float[Tensor, "batch height width"], generator: torch.Generator
) -> Float[Tensor, "batch height width"]:
    """The seven leftmost and the seven rightmost columns inverted; applied twice, the identity.

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    striped = images.clone()
    for columns in (striped[..., :STRIPE_WIDTH], striped[..., -STRIPE_WIDTH:]):
        columns.neg_().add_(1.0)
    return striped
