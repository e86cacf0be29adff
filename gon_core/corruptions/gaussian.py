"""The Gaussian blur of one image axis as a matrix: small images blur fastest by multiplication."""

import functools
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

TRUNCATE = 4.0


@functools.cache
def blur_matrix(
    size: int,
    sigma: float,
    *,
    beyond_edge: Literal["nearest", "reflect", "ignore"],
    truncate: float = TRUNCATE,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "size size"]:
    """The matrix that blurs a column vector of `size` pixels with a truncated Gaussian.

    Args:
        size: Number of pixels along the axis.
        sigma: Standard deviation in pixels.
        beyond_edge: ``"nearest"`` repeats the edge pixel; ``"reflect"`` mirrors the image at its
            edge, edge pixel included, as often as the kernel needs; ``"ignore"`` leaves out what
            lies beyond the edge and lets the remaining weights sum to one.
        truncate: Where the kernel ends, in units of sigma.
        dtype: Of the matrix.

    Returns:
        Rows of non-negative weights, each row summing to one. Shared between callers: read only.
    """
    radius = int(truncate * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    sources = torch.arange(size)[:, None] + offsets
    if beyond_edge == "ignore":
        weights = weights * ((sources >= 0) & (sources < size))
    else:
        weights = weights.expand(sources.shape)
    if beyond_edge == "reflect":
        sources = sources % (2 * size)
        sources = torch.minimum(sources, 2 * size - 1 - sources)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, sources.clamp(0, size - 1), weights)
    return (matrix / matrix.sum(dim=1, keepdim=True)).to(dtype)
