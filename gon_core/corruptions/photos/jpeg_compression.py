"""jpeg_compression: baseline JPEG with halved colour resolution (4:2:0), and back."""

from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.jpeg_codec import through_codec

PUBLISHED_QUALITY = 85  # in which the images of ImageNet-C are stored, whatever was done to them


def jpeg_compression(
    images: Float[Tensor, "batch 3 height width"], draws: Draws, quality: int
) -> Float[Tensor, "batch 3 height width"]:
    """Return images as JPEG shows them.

    Args:
        images: multiples of 1/255 in [0, 1].
        draws: nothing is drawn.
        quality: of libjpeg, 1 to 95.
    """
    return through_jpeg((images * 255).round_().to(torch.uint8), quality).float() / 255


def through_jpeg(
    images: UInt8[Tensor, "batch 3 height width"], quality: int
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images after JPEG: libjpeg's on a CPU, elsewhere our own codec, near it.

    Args:
        images: on any device.
        quality: of libjpeg, 1 to 95.
    """
    if images.device.type != "cpu":
        return through_codec(images, quality)
    shown = np.empty((len(images), *images.shape[2:], 3), np.uint8)
    for result, image in zip(shown, images.permute(0, 2, 3, 1).numpy(), strict=True):
        file = BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
        result[:] = Image.open(file)
    return torch.from_numpy(shown).permute(0, 3, 1, 2).contiguous()
