"""fog: a plasma fractal laid over the image."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

DENSITY = 3.0
MAP_SIZE = 256
FIRST_WIBBLE = 100.0
WIBBLE_DECAY = 1.4
MAPS_AT_ONCE = 10


def fog(
    images: Float[Tensor, "batch height width"],
    generator: torch.Generator,
    density: float = DENSITY,
) -> Float[Tensor, "batch height width"]:
    """(x + d P) m / (m + d), clipped, with m the largest value of x and P a plasma in [0, 1].

    Args:
        images: In [0, 1], at most 256 pixels a side.
        generator: Source of one draw per point of each image's 256 x 256 map.
        density: d, 3 in the published set.

    Returns:
        Images in [0, 1].

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019; the diamond-square
        plasma is that of Hendrycks & Dietterich, Benchmarking Neural Network Robustness, 2019.
    """
    batch, height, width = images.shape
    assert height == width, "plasma patches are square"
    # Few maps at a time, so that they stay in the cache.
    patches = [
        plasma_patch(min(MAPS_AT_ONCE, batch - first), height, generator)
        for first in range(0, batch, MAPS_AT_ONCE)
    ]
    brightest = images.amax(dim=(1, 2), keepdim=True)
    foggy = (images + density * torch.cat(patches)) * (brightest / (brightest + density))
    return foggy.clamp_(0.0, 1.0)


def plasma_patch(
    batch: int, patch: int, generator: torch.Generator, *, size: int = MAP_SIZE
) -> Float[Tensor, "batch patch patch"]:
    """The top left corners of diamond-square maps that range from 0 to 1 over the whole map.

    The maps are periodic, start from a single 0 and halve their spacing until it is one pixel. Each
    new point is the mean of its four neighbours plus w U(-w, w); w is 100 at first and falls by 1.4
    at each halving.

    Args:
        batch: How many maps.
        patch: Side of the returned corners in pixels, at most `size`.
        generator: Source of size^2 draws per map.
        size: Side of the maps in pixels, a power of two and at least 4.

    Returns:
        Patches in [0, 1].
    """
    *early, last = _offsets_by_level(batch, size, generator)
    grid = torch.zeros(batch, 2, 2)
    for offsets in early:
        grid = _interleave(_new_points(grid, offsets))
    points = _new_points(grid, last)
    # The last level is the most work and is needed only for its extremes and in the patch.
    new = points.centres, points.across, points.down
    lowest = torch.stack([part.flatten(1).amin(dim=1) for part in (grid, *new)]).amin(dim=0)
    highest = torch.stack([part.flatten(1).amax(dim=1) for part in (grid, *new)]).amax(dim=0)
    half = (patch + 1) // 2
    corner = _interleave(
        _Points(grid[:, : half + 1, : half + 1], *(part[:, :half, :half] for part in new))
    )[:, :patch, :patch]
    return (corner - lowest[:, None, None]) / (highest - lowest)[:, None, None]


def _offsets_by_level(
    batch: int, size: int, generator: torch.Generator
) -> list[Float[Tensor, "batch 3 _ _"]]:
    """What is added to the new points of each level, three for every cell of the grid before."""
    draws = _uniform_draws(batch, size * size, generator)
    levels, first, wibble = [], 0, FIRST_WIBBLE
    for level in range(int(math.log2(size))):
        cells = 2**level
        offsets = draws[:, first : first + 3 * cells**2].view(batch, 3, cells, cells)
        levels.append(offsets.mul_(wibble**2))
        first += 3 * cells**2
        wibble /= WIBBLE_DECAY
    return levels


def _uniform_draws(
    batch: int, count: int, generator: torch.Generator
) -> Float[Tensor, "batch count"]:
    """Uniform in [-1, 1), 16 bits each: four from one 64-bit number take a quarter of the time."""
    bits = torch.empty(batch, count // 4, dtype=torch.int64)
    bits.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    return bits.view(torch.int16).float().mul_(2.0**-15)


class _Points(NamedTuple):
    """Points of one level: the old grid and what is new between its points.

    The grid's last row and column repeat its first, as the map is periodic.
    """

    grid: Float[Tensor, "batch points points"]
    centres: Float[Tensor, "batch cells cells"]
    across: Float[Tensor, "batch cells cells"]
    down: Float[Tensor, "batch cells cells"]


def _new_points(
    grid: Float[Tensor, "batch points points"], offsets: Float[Tensor, "batch 3 cells cells"]
) -> _Points:
    """First the centres of the cells, then the middles of their upper and left sides."""
    centres, across, down = offsets.unbind(1)
    beside = grid[:, :, :-1] + grid[:, :, 1:]
    centres.add_(beside[:, :-1], alpha=0.25).add_(beside[:, 1:], alpha=0.25)
    across.add_(beside[:, :-1], alpha=0.25).add_(centres, alpha=0.25)
    across[:, 1:].add_(centres[:, :-1], alpha=0.25)
    across[:, 0].add_(centres[:, -1], alpha=0.25)
    below = grid[:, :-1, :-1] + grid[:, 1:, :-1]
    down.add_(below, alpha=0.25).add_(centres, alpha=0.25)
    down[:, :, 1:].add_(centres[:, :, :-1], alpha=0.25)
    down[:, :, 0].add_(centres[:, :, -1], alpha=0.25)
    return _Points(grid, centres, across, down)


def _interleave(points: _Points) -> Float[Tensor, "batch finer finer"]:
    """The grid at half the spacing."""
    batch, cells, _ = points.centres.shape
    finer = points.grid.new_empty(batch, 2 * cells + 1, 2 * cells + 1)
    finer[:, ::2, ::2] = points.grid
    finer[:, 1::2, 1::2] = points.centres
    finer[:, :-1:2, 1::2] = points.across
    finer[:, 1::2, :-1:2] = points.down
    finer[:, -1] = finer[:, 0]
    finer[:, :, -1] = finer[:, :, 0]
    return finer
