"""The Gaussian blur of one image axis as a matrix: small images blur fastest by multiplication."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor

TRUNCATE = 4.0


@functools.cache
def blur_matrix(
    size: int, sigma: float, *, beyond_edge: str, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "size size"]:
    """The matrix that blurs a column vector of `size` pixels with a truncated Gaussian.

    Args:
        size: Number of pixels along the axis.
        sigma: Standard deviation in pixels; the kernel ends at 4 sigma.
        beyond_edge: ``"nearest"`` repeats the edge pixel; ``"ignore"`` leaves out what lies beyond
            the edge and lets the remaining weights sum to one.
        dtype: Of the matrix.

    Returns:
        Rows of non-negative weights, each row summing to one. Shared between callers: read only.
    """
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    sources = torch.arange(size)[:, None] + offsets
    if beyond_edge == "ignore":
        weights = weights * ((sources >= 0) & (sources < size))
    else:
        assert beyond_edge == "nearest", beyond_edge
        weights = weights.expand(sources.shape)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, sources.clamp(0, size - 1), weights)
    return (matrix / matrix.sum(dim=1, keepdim=True)).to(dtype)
