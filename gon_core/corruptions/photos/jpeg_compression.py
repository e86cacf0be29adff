"""jpeg_compression: baseline JPEG with halved colour resolution (4:2:0), and back."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.jpeg_codec import through_codec

PUBLISHED_QUALITY = 85  # in which the images of ImageNet-C are stored, whatever was done to them


def jpeg_compression(
    images: UInt8[Tensor, "batch 3 height width"], draws: Draws, quality: int
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images as JPEG shows them.

    Args:
        images: on any device.
        draws: nothing is drawn.
        quality: of libjpeg, 1 to 95.
    """
    return through_jpeg(images, quality)


def through_jpeg(
    images: UInt8[Tensor, "batch 3 height width"], quality: int
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images after JPEG: libjpeg's on a CPU (OpenCV has it), elsewhere our own codec.

    Args:
        images: on any device.
        quality: of libjpeg, 1 to 95.
    """
    if images.device.type != "cpu":
        return through_codec(images, quality)
    import cv2  # takes a second

    halved = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *halved]
    shown = torch.empty_like(images, memory_format=torch.contiguous_format)
    for result, image in zip(shown.numpy(), images.numpy(), strict=True):
        _, stored = cv2.imencode(".jpg", cv2.merge([*image[::-1]]), options)
        decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR_BGR)
        assert decoded is not None, "it was just stored"
        cv2.split(decoded, [*result[::-1]])
    return shown
