"""gaussian_blur and defocus_blur: the same kernel for every photo."""

import functools

import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from gon_core.corruptions.gaussian import blur_matrix
from gon_core.corruptions.photos.draws import Draws

SMALL_DISK = 8  # disks up to this radius stand in a kernel of 17 x 17


def blur(
    images: Float[Tensor, "*batch height width"], sigma: float
) -> Float[Tensor, "*batch height width"]:
    """Return Gaussian filtered images: edge pixels repeated, the kernel cut at 4 sigma."""
    down, along = (
        blur_matrix(size, sigma, beyond_edge="nearest").to(images.device)
        for size in images.shape[-2:]
    )
    return down @ (images @ along.T)


def gaussian_blur(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return blurred images.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        sigma: standard deviation in pixels.
    """
    return blur(images, sigma)


def defocus_blur(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, radius: float, alias_sigma: float
) -> Float[Tensor, "batch 3 height width"]:
    """Return images under a disk whose edge is softened.

    Args:
        images: in [0, 1].
        draws: nothing is drawn.
        radius: of the disk, in pixels.
        alias_sigma: of the Gaussian that softens it, in pixels.
    """
    kernel = disk(radius, alias_sigma).to(images.device)
    reach = len(kernel) // 2
    height, width = images.shape[-2:]
    # Sizes with small factors only, which transform fast.
    size = next_fast_len(height + 2 * reach, real=True), next_fast_len(width + 2 * reach, real=True)
    padded = pad(images, (reach,) * 4, mode="reflect")
    # A correlation with a symmetric kernel is a product of Fourier transforms; what wraps around
    # falls into the border, which is left out.
    transformed = torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(kernel, s=size)
    blurred = torch.fft.irfft2(transformed, s=size)
    return blurred[..., 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]


@functools.cache
def disk(radius: float, alias_sigma: float) -> Float[Tensor, "side side"]:
    """Return the kernel of the defocus blur.

    The disk sums to 1 before it is softened, and not after: where it touches the border of its
    kernel the softening mirrors it, so that severities 4 and 5 of large photos brighten by 1 %. The
    published sets have that.
    """
    half, softening = (SMALL_DISK, 1) if radius <= SMALL_DISK else (int(radius), 2)
    squares = torch.arange(-half, half + 1, dtype=torch.float64) ** 2
    hard = (squares[:, None] + squares <= radius**2).double()
    offsets = torch.arange(-softening, softening + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / alias_sigma) ** 2)
    weights /= weights.sum()
    mirrored = pad((hard / hard.sum())[None, None], (softening,) * 4, mode="reflect")[0, 0]
    rows = mirrored.unfold(0, len(weights), 1) @ weights
    return (rows.unfold(1, len(weights), 1) @ weights).float()
