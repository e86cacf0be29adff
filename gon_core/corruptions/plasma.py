"""Plasma fractals by the diamond-square method: what fog is made of."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

FIRST_WIBBLE = 100.0


def plasma_patches(
    draws: Float[Tensor, "batch points"], patch: int, decay: float
) -> Float[Tensor, "batch patch patch"]:
    """The top left corners of diamond-square maps that range from 0 to 1 over the whole map.

    The maps are periodic, start from a single 0 and halve their spacing until it is one pixel. Each
    new point is the mean of its four neighbours plus w U(-w, w); w is 100 at first and falls at
    each halving.

    Args:
        draws: U, uniform in [-1, 1), one for each point of a square map; changed in place. The side
            of the map is a power of two and at least 4.
        patch: Side of the returned corners in pixels, at most that of the map.
        decay: What w is divided by at each halving.

    Returns:
        Patches in [0, 1].

    References:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness, 2019.
    """
    *early, last = _offsets_by_level(draws, decay)
    grid = draws.new_zeros(len(draws), 2, 2)
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
    draws: Float[Tensor, "batch points"], decay: float
) -> list[Float[Tensor, "batch 3 _ _"]]:
    """What is added to the new points of each level, three for every cell of the grid before."""
    levels, first, wibble = [], 0, FIRST_WIBBLE
    for level in range(int(math.log2(draws.shape[1])) // 2):
        cells = 2**level
        offsets = draws[:, first : first + 3 * cells**2].view(len(draws), 3, cells, cells)
        levels.append(offsets.mul_(wibble**2))
        first += 3 * cells**2
        wibble /= decay
    return levels


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
