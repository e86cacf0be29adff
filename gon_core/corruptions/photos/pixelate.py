"""pixelate: fewer, larger pixels."""

import functools

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws


def pixelate(
    images: UInt8[Tensor, "batch 3 side side"], draws: Draws, factor: float
) -> UInt8[Tensor, "batch 3 side side"]:
    """Return images shrunk to the means of areas, and enlarged again without smoothing.

    Pillow does it on a CPU, and the same arithmetic in torch elsewhere.

    Args:
        images: on any device.
        draws: nothing is drawn.
        factor: of the side.
    """
    side = images.shape[-1]
    inner = int(side * factor)
    if images.device.type != "cpu":
        return enlarged_means(images, inner)

    import cv2  # takes a second
    from PIL import Image

    # The published code enlarges by BOX, which takes longer, and differs at one side alone.
    up = Image.Resampling.BOX if side == 299 else Image.Resampling.NEAREST
    changed = torch.empty_like(images, memory_format=torch.contiguous_format)
    for result, image in zip(changed.numpy(), images.numpy(), strict=True):
        # Pillow is quickest to join channels, OpenCV to part them; numpy takes longer for both.
        photo = Image.merge("RGB", [Image.fromarray(channel) for channel in image])
        small = photo.resize((inner, inner), Image.Resampling.BOX)
        cv2.split(np.asarray(small.resize((side, side), up)), [*result])
    return changed


def enlarged_means(
    images: UInt8[Tensor, "batch 3 side side"], inner: int
) -> UInt8[Tensor, "batch 3 side side"]:
    """Return images of ``inner`` larger pixels a side, as Pillow makes them."""
    side = images.shape[-1]
    means = _means(side, inner).to(images.device)
    # Pillow rounds to whole grey levels after each direction, halves upwards.
    along = (images.float() @ means.T).add_(0.5).floor_()
    small = (means @ along).add_(0.5).to(torch.uint8)
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
