"""JPEG and back on any device: all photos of a batch at once, near libjpeg to a grey level.

Baseline JPEG with chroma at half the resolution (4:2:0). Integers where libjpeg rounds, but a
floating-point cosine transform, so that some values differ by 1. Entropy coding is left out: it
loses nothing.

References:
    ITU-T T.81, "Digital compression and coding of continuous-tone still images", 1992, annex K for
    the tables; libjpeg for quality, subsampling and smooth upsampling.
"""

import functools
import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 8
UNIT = 2 * BLOCK  # pixels a side that share a block of chroma
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)  # fmt: skip
TO_YCC = (
    (0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411),
)  # fmt: skip
CENTRE = 128.0


def through_codec(
    images: UInt8[Tensor, "batch 3 height width"], quality: int
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images after JPEG.

    Args:
        images: on any device.
        quality: of libjpeg, 1 to 100.
    """
    height, width = images.shape[2:]
    beyond = (0, -width % UNIT, 0, -height % UNIT)
    padded = pad(images.float(), beyond, mode="replicate")
    ycc = torch.einsum("nchw,dc->ndhw", padded, padded.new_tensor(TO_YCC))
    luma = _quantised(ycc[:, :1].round() - CENTRE, LUMA, quality) + CENTRE
    chroma = _quantised(_halved(ycc[:, 1:].round() + CENTRE) - CENTRE, CHROMA, quality) + CENTRE
    blue, red = (_doubled(chroma) - CENTRE).unbind(1)
    luma = luma[:, 0]
    shown = torch.stack(
        (
            luma + (1.402 * red).round_(),
            luma - (0.344136286 * blue + 0.714136286 * red).round_(),
            luma + (1.772 * blue).round_(),
        ),
        1,
    )
    return shown[..., :height, :width].clamp_(0, 255).to(torch.uint8)


def _halved(chroma: Float[Tensor, "batch 2 height width"]) -> Tensor:
    """Return means of 2 x 2 pixels; halves are rounded down and up in turns, as libjpeg does."""
    batch, channels, height, width = chroma.shape
    sums = chroma.view(batch, channels, height // 2, 2, width // 2, 2).sum((3, 5))
    bias = 1.0 + torch.arange(width // 2, device=chroma.device) % 2
    return ((sums + bias) / 4).floor_()


def _doubled(chroma: Float[Tensor, "batch 2 height width"]) -> Tensor:
    """Return twice as many pixels each way, each weighted 9:3:3:1 of the nearest four."""
    bordered = pad(chroma, (1, 1, 1, 1), mode="replicate")
    here = 3 * bordered[:, :, 1:-1]
    rows = torch.stack((here + bordered[:, :, :-2], here + bordered[:, :, 2:]), 3).flatten(2, 3)
    here = 3 * rows[..., 1:-1]
    left, right = here + rows[..., :-2] + 8, here + rows[..., 2:] + 7
    return (torch.stack((left, right), 4).flatten(3) / 16).floor_()


def _quantised(
    channels: Float[Tensor, "batch channel height width"],
    table: tuple[tuple[int, ...], ...],
    quality: int,
) -> Float[Tensor, "batch channel height width"]:
    """Return channels, centred at 0, whose blocks have whole multiples of the table's steps."""
    batch, count, height, width = channels.shape
    cosines, steps = (part.to(channels.device) for part in (_cosines(), _steps(table, quality)))
    blocks = channels.view(batch, count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = blocks.transpose(3, 4)
    # libjpeg has eighths of coefficients; halves of a step, which are common, go away from 0.
    eighths = (cosines @ blocks @ cosines.T * 8).round_()
    kept = eighths.sign() * (eighths.abs() / (8 * steps) + 0.5).floor_() * steps
    shown = (cosines.T @ kept @ cosines).round_().clamp_(-CENTRE, CENTRE - 1)
    return shown.transpose(3, 4).reshape(channels.shape)


@functools.cache
def _cosines() -> Float[Tensor, "8 8"]:
    """Return the orthonormal cosine transform of eight values."""
    frequency, place = torch.arange(BLOCK)[:, None].double(), torch.arange(BLOCK).double()
    matrix = torch.cos(math.pi * frequency * (2 * place + 1) / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    matrix[0] = math.sqrt(1 / BLOCK)
    return matrix.float()


def _steps(table: tuple[tuple[int, ...], ...], quality: int) -> Float[Tensor, "8 8"]:
    """Return the table as libjpeg scales it by quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(table) * scale + 50) // 100).clamp_(1, 255).float()
