"""spatter: drops of grey liquid on the lens."""

import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.corruptions.gaussian import blur_matrix

LIQUID_MEAN = 0.65
LIQUID_STD = 0.3
LIQUID_SIGMA = 1.0
LIQUID_THRESHOLD = 0.65
DROP_SIGMA = 1.5
DROP_THRESHOLD = 0.8
DROP_COLOUR = 63 / 255


def spatter(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    threshold: float = LIQUID_THRESHOLD,
) -> Float[Tensor, "batch height width"]:
    """Blurred noise above a threshold becomes opaque drops of grey level 63.

    Args:
        images: In [0, 1].
        generator: Source of one normal draw per pixel.
        threshold: Of the blurred noise; a lower one makes more drops.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    noise = torch.randn(images.shape, generator=generator) * LIQUID_STD + LIQUID_MEAN
    liquid = _blur(noise, LIQUID_SIGMA) > threshold
    drops = _blur(liquid.float(), DROP_SIGMA)
    drops = torch.where(drops < DROP_THRESHOLD, 0.0, drops)
    return torch.lerp(images, torch.tensor(DROP_COLOUR), drops)


def _blur(
    images: Float[Tensor, "batch height width"], sigma: float
) -> Float[Tensor, "batch height width"]:
    down = blur_matrix(images.shape[1], sigma, beyond_edge="nearest")
    along = blur_matrix(images.shape[2], sigma, beyond_edge="nearest")
    return down @ images @ along.T
