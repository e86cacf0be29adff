"""glass_blur: pixels replaced by a near one, one after the other, between two blurs."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gon_core.corruptions.photos.blur import blur
from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.levels import to_levels


def glass_blur(
    images: Float[Tensor, "batch 3 height width"],
    draws: Draws,
    sigma: float,
    reach: int,
    passes: int,
) -> Float[Tensor, "batch 3 height width"]:
    """Return images blurred, shuffled locally, and blurred again.

    Args:
        images: in [0, 1].
        draws: two integers from -reach to reach - 1 a pixel and pass.
        sigma: of both blurs, in pixels.
        reach: how far away the other pixel may be, in pixels.
        passes: over the whole image.
    """
    height, width = images.shape[-2:]
    pixels = to_levels(blur(images, sigma)).flatten(2)
    sources = torch.arange(height * width, device=images.device).expand(len(images), -1)
    for _ in range(passes):
        steps = draws.integers(-reach, reach, 2, height, width)
        sources = sources.gather(1, shuffled(steps, reach).flatten(1))
    shuffled_pixels = pixels.gather(2, sources[:, None].expand(-1, 3, -1))
    return blur(shuffled_pixels.view(images.shape).float() / 255, sigma)


def shuffled(
    steps: Int64[Tensor, "batch 2 height width"], reach: int
) -> Int64[Tensor, "batch height width"]:
    """Return which pixel, as a flat index, each pixel shows after one pass.

    The published code walks from the last pixel to the first, without a margin, and exchanges each
    with the one that its step leads to. On colour images that exchange is a copy: the other pixel
    keeps its value. So a pixel shows what its source shows by then. A source that the walk has
    visited shows its own source's value, any other still shows itself: a chain, which is followed
    for all pixels at once by doubling.

    Args:
        steps: to the other pixel, along the row and along the column, from -reach to reach - 1.
        reach: the width of the margin, one less than that at the top and at the left.
    """
    batch, _, height, width = steps.shape
    count = height * width
    here = torch.arange(count, device=steps.device).view(height, width)
    is_visited = torch.zeros(height, width, dtype=torch.bool, device=steps.device)
    is_visited[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1] = True
    there = torch.where(is_visited, here + steps[:, 1] * width + steps[:, 0], here).flatten(1)
    # Nodes below `count` are pixels after their visit, the others the same pixels before it.
    is_final = ~(is_visited.flatten()[there] & (there > here.flatten()))
    following = there + count * is_final
    while not bool((following >= count).all()):
        further = following.gather(1, following.clamp(max=count - 1))
        following = torch.where(following < count, further, following)
    return (following - count).view(batch, height, width)
