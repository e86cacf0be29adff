"""snow and fog."""

import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.levels import to_levels
from gon_core.corruptions.photos.motion_blur import blur_along
from gon_core.corruptions.photos.zoom_blur import magnified
from gon_core.corruptions.plasma import plasma_patches

GREY = (0.299, 0.587, 0.114)  # how much of red, green and blue there is in grey
STEEPEST, FLATTEST = -135.0, -45.0  # degrees, of falling snow


def snow(
    images: Float[Tensor, "batch 3 height width"],
    draws: Draws,
    mean: float,
    deviation: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    kept: float,
) -> Float[Tensor, "batch 3 height width"]:
    """Return whitened images under flakes, and under the same flakes turned by 180 degrees.

    Args:
        images: in [0, 1].
        draws: one normal number a pixel and one angle an image.
        mean: of the noise that flakes are made of.
        deviation: standard deviation of that noise.
        zoom: by how much the noise is magnified.
        threshold: noise below it is no flake.
        radius: of the motion blur of the flakes, in pixels.
        sigma: of that motion blur, in pixels.
        kept: share of the image that is not whitened.
    """
    height, width = images.shape[-2:]
    field = magnified(draws.normal(1, height, width).mul_(deviation).add_(mean), zoom)
    flakes = to_levels(torch.where(field < threshold, 0.0, field)).float() / 255
    fallen = blur_along(flakes, draws.uniform(STEEPEST, FLATTEST, 1), radius, sigma)
    layer = to_levels(fallen).float() / 255
    shares = images.new_tensor(GREY)[:, None, None]
    white = (images * shares).sum(1, keepdim=True).mul_(1.5).add_(0.5)
    whitened = torch.lerp(torch.maximum(images, white), images, kept)
    return whitened.add_(layer).add_(layer.rot90(2, (2, 3)))


def fog(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, strength: float, decay: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return (x + s P) m / (m + s), with m the largest value of x and P a plasma in [0, 1].

    Args:
        images: in [0, 1].
        draws: one number a point of each image's plasma.
        strength: s.
        decay: of the plasma from one scale to the next: a larger one makes it smoother.
    """
    side = images.shape[-1]
    size = 1 << (side - 1).bit_length()
    plasma = plasma_patches(draws.uniform(-1.0, 1.0, size * size), side, decay)
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    fogged = images + plasma[:, None].mul_(strength)
    return fogged.mul_(brightest / (brightest + strength))
