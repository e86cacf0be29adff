"""jpeg_compression: baseline JPEG with halved colour resolution (4:2:0), and back."""

from io import BytesIO

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gon_core.corruptions.photos import pillow
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
    """Return images after JPEG: libjpeg's on a CPU, elsewhere our own codec, near it.

    Args:
        images: on any device.
        quality: of libjpeg, 1 to 95.
    """
    if images.device.type != "cpu":
        return through_codec(images, quality)

    def stored(photo: Image.Image) -> Image.Image:
        file = BytesIO()
        photo.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return pillow.each(images, stored)
