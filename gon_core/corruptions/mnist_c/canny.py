"""canny_edges: the Canny edge detector on a whole batch."""

import functools

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from gon_core.corruptions.gaussian import blur_matrix

SIGMA = 1.0
LOW_THRESHOLD = 0.1
HIGH_THRESHOLD = 0.2


def canny_edges(
    images: Float[Tensor, "batch height width"], generator: torch.Generator, sigma: float = SIGMA
) -> Float[Tensor, "batch height width"]:
    """Edges by Canny's method, sigma 1 in the published set, with the thresholds 0.1 and 0.2.

    Args:
        images: In [0, 1].
        generator: Not used, no draw is made.
        sigma: Of the blur before, in pixels; a greater one leaves fewer and rounder edges.

    Returns:
        1 on edges, 0 elsewhere; never an edge on the border of the image.

    References:
        Canny, A Computational Approach to Edge Detection, 1986; Mu & Gilmer, MNIST-C: A Robustness
        Benchmark for Computer Vision, 2019, with the defaults of scikit-image's `feature.canny`.
    """
    _batch, height, width = images.shape
    precise = images.double()
    slope_down = _derivative(height, sigma) @ precise @ _smoothing(width, sigma).T
    slope_right = _smoothing(height, sigma) @ precise @ _derivative(width, sigma).T
    strength = torch.sqrt(slope_down * slope_down + slope_right * slope_right)
    candidates = pad(_local_maxima(slope_down, slope_right, strength), (1, 1, 1, 1))
    weak = _pack_rows(candidates & (strength >= LOW_THRESHOLD))
    strong = _pack_rows(candidates & (strength >= HIGH_THRESHOLD))
    edges = _connected(strong, weak)
    return (edges[..., None] >> torch.arange(width) & 1).float()


def _local_maxima(
    slope_down: Float[Tensor, "batch height width"],
    slope_right: Float[Tensor, "batch height width"],
    strength: Float[Tensor, "batch height width"],
) -> Bool[Tensor, "batch inner_height inner_width"]:
    """Inner pixels not weaker than the strength interpolated one pixel up and down the slope."""

    def neighbour(down: int, right: int) -> Tensor:
        height, width = strength.shape[1:]
        return strength[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]

    down, right = slope_down[:, 1:-1, 1:-1], slope_right[:, 1:-1, 1:-1]
    steep = down.abs() > right.abs()
    falling = down * right >= 0
    larger = torch.where(steep, down, right).abs()
    smaller = torch.where(steep, right, down).abs()
    weight = torch.where(larger > 0, smaller / larger, 0.0)
    here = neighbour(0, 0)
    maximal = torch.ones_like(steep)
    for sign in (1, -1):
        straight = torch.where(steep, neighbour(sign, 0), neighbour(0, sign))
        across = torch.where(steep, neighbour(sign, -sign), neighbour(-sign, sign))
        diagonal = torch.where(falling, neighbour(sign, sign), across)
        maximal &= diagonal * weight + straight * (1 - weight) <= here
    return maximal


def _connected(
    strong: Int[Tensor, "batch height"], weak: Int[Tensor, "batch height"]
) -> Int[Tensor, "batch height"]:
    """The weak pixels that an 8-connected path of weak pixels joins to a strong one, bit-packed."""
    edges = strong
    while True:
        wide = edges | edges << 1 | edges >> 1
        padded = pad(wide, (1, 1))
        grown = (padded[:, :-2] | wide | padded[:, 2:]) & weak
        if torch.equal(grown, edges):
            return edges
        edges = grown


def _pack_rows(mask: Bool[Tensor, "batch height width"]) -> Int[Tensor, "batch height"]:
    """Each row as the bits of one integer, so that growing a region is a shift."""
    return (mask.long() << torch.arange(mask.shape[2])).sum(dim=2)


@functools.cache
def _smoothing(size: int, sigma: float) -> Float[Tensor, "size size"]:
    return _stencil(size, (1.0, 2.0, 1.0)) @ _blur(size, sigma)


@functools.cache
def _derivative(size: int, sigma: float) -> Float[Tensor, "size size"]:
    return _stencil(size, (-1.0, 0.0, 1.0)) @ _blur(size, sigma)


def _blur(size: int, sigma: float) -> Float[Tensor, "size size"]:
    return blur_matrix(size, sigma, beyond_edge="ignore", dtype=torch.float64)


def _stencil(size: int, weights: tuple[float, float, float]) -> Float[Tensor, "size size"]:
    """One axis of Sobel's filter as a matrix; beyond the edge the edge pixel is repeated."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for offset, weight in zip((-1, 0, 1), weights, strict=True):
        sources = (torch.arange(size) + offset).clamp(0, size - 1)
        matrix[torch.arange(size), sources] += weight
    return matrix
