"""pixelate: fewer, larger pixels."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws


def pixelate(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, factor: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images shrunk to the means of areas, and enlarged again without smoothing.

    Args:
        images: multiples of 1/255 in [0, 1], square.
        draws: nothing is drawn.
        factor: of the side.
    """
    side = images.shape[-1]
    inner = int(side * factor)
    means = _means(side, inner).to(images.device)
    # Pillow rounds to whole grey levels after each direction, halves upwards.
    along = (images * 255 @ means.T).add_(0.5).floor_()
    small = (means @ along).add_(0.5).floor_() / 255
    pixels = torch.arange(side, device=images.device)
    source = ((pixels + 0.5) * inner / side).long()
    return small[..., source[:, None], source]


@functools.cache
def _means(side: int, inner: int) -> Float[Tensor, "inner side"]:
    """Return the weights of Pillow's box filter: of the pixels whose centres are in each part."""
    # In the order of Pillow's operations, whose rounding decides where a centre is on an edge.
    pixels, scale = torch.arange(side, dtype=torch.float64), side / inner
    centres = (torch.arange(inner, dtype=torch.float64)[:, None] + 0.5) * scale
    distances = (pixels - centres + 0.5) * (1 / scale)
    inside = (distances > -0.5) & (distances <= 0.5)
    inside &= pixels >= (centres - scale / 2 + 0.5).floor()
    inside &= pixels < (centres + scale / 2 + 0.5).floor()
    weights = inside.double()
    return (weights / weights.sum(1, keepdim=True)).float()
