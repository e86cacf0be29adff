"""Changes of the grey levels alone: brightness and stripe."""

import torch
from jaxtyping import Float
from torch import Tensor

BRIGHTER_BY = 0.5
STRIPE_WIDTH = 7


def brightness(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    amount: float = BRIGHTER_BY,
) -> Float[Tensor, "batch height width"]:
    """A part of the full range added, clipped to 1 (the value channel of HSV; greys stay grey).

    Half of the range in the published set.

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.
        amount: Added to every pixel.

    Returns:
        Images in [amount, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    return (images + amount).clamp_(max=1.0)


def stripe(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    width: int = STRIPE_WIDTH,
) -> Float[Tensor, "batch height width"]:
    """The leftmost and rightmost columns inverted; applied twice, the identity.

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.
        width: Of each stripe in pixels, from 1 to half of the image.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    striped = images.clone()
    for columns in (striped[..., :width], striped[..., -width:]):
        columns.neg_().add_(1.0)
    return striped
