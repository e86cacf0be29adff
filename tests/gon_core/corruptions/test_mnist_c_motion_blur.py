"""motion_blur against images made by ImageMagick."""

import math
import zlib

import pytest
import torch

from gon_core.corruptions.mnist_c.motion_blur import blur_along


# Made once by ImageMagick 6.9.11-60 Q16: convert -motion-blur 10x3{angle}.
@pytest.mark.parametrize(
    ("angle", "trail"),
    [
        (
            30.0,
            {(10, 17): 1, (11, 18): 3, (11, 19): 8, (12, 20): 14, (12, 21): 24, (13, 21): 36}
            | {(13, 22): 47, (14, 23): 56, (14, 24): 59},
        ),
        (
            -17.0,
            {(14, 23): 56, (14, 24): 59, (15, 19): 14, (15, 20): 24, (15, 21): 36, (15, 22): 47}
            | {(16, 16): 1, (16, 17): 3, (16, 18): 8},
        ),
    ],
)
def test_the_trail_of_a_point_is_imagemagicks(angle, trail):
    point = torch.zeros(1, 28, 28)
    point[0, 14, 24] = 1.0
    blurred = (255 * blur_along(point, torch.tensor([math.radians(angle)]))[0]).round().int()
    found = {(r, c): blurred[r, c].item() for r, c in blurred.nonzero().tolist()}
    assert found == trail


@pytest.mark.parametrize(
    ("index", "angle", "checksum"),
    [(0, 12.33, 1468896925), (1, -20.72, 1003100124), (2, -41.31, 423158078)],
)
def test_blurred_digits_are_imagemagicks(digits, index, angle, checksum):
    blurred = blur_along(digits[index, None] / 255, torch.tensor([math.radians(angle)]))
    levels = (255 * blurred).round().to(torch.uint8)
    assert zlib.crc32(levels.numpy().tobytes()) == checksum


def test_flat_images_stay_as_they_are():
    levels = torch.arange(256.0).view(256, 1, 1).expand(256, 28, 28)
    angles = torch.linspace(-math.pi / 4, math.pi / 4, 256)
    assert torch.equal((255 * blur_along(levels / 255, angles)).round(), levels)
