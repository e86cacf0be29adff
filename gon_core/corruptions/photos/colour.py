"""brightness, saturate and contrast: closed forms of what the published code does in HSV."""

from jaxtyping import Float
from torch import Tensor, where

from gon_core.corruptions.photos.draws import Draws


def brightness(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, added: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images with their HSV value raised, at most to 1; hue and saturation stay.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        added: to the value, which is the largest of red, green and blue.
    """
    value = images.amax(1, keepdim=True)
    scaled = images * ((value + added).clamp_(max=1) / value)
    return where(value > 0, scaled, added)


def saturate(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, factor: float, added: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images with their HSV saturation scaled and raised, within 0 and 1.

    A grey pixel, whose hue is 0 by convention, turns red where ``added`` is not 0.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        factor: of the saturation, which is (V - least) / V with V the largest channel.
        added: to the product.
    """
    value = images.amax(1, keepdim=True)
    spread = value - images.amin(1, keepdim=True)
    saturation = (spread / value).mul_(factor).add_(added).clamp_(0, 1)
    coloured = value - (value - images) * (saturation * value / spread)
    reddish = (value * (1 - min(max(added, 0), 1))).repeat(1, 3, 1, 1)
    reddish[:, :1] = value
    return where(spread > 0, coloured, reddish)


def contrast(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, factor: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images nearer to the mean over the pixels of each channel.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        factor: of the distance from the mean.
    """
    means = images.mean((2, 3), keepdim=True)
    return (images - means).mul_(factor).add_(means)
