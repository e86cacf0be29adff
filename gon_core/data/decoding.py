"""A photo from a file's content: decoded, brought to size, and for training cut at random."""

import io
import re
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gon_core import seeding
from gon_core.data.augmentation import crop_box
from gon_core.data.files import DataFileError

MARGIN = 8 / 7  # what is resized to the shorter side, before the centre is cut out: 256 for 224
ORIENTATION = 0x0112  # in EXIF
JPEG, JPEG_EXIF = b"\xff\xd8", b"Exif\0\0"  # what such files and such a part of them begin with


@runtime_checkable
class Encoded(Protocol):
    """Images as they are stored, by their number."""

    def __len__(self) -> int: ...

    def __getitem__(self, numbers: list[int]) -> "Encoded":
        """Return some of the images."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Where each image is, below the folder of the set; or its name alone."""
        ...

    def name(self, number: int) -> str:
        """Return what to call an image in an error."""
        ...

    def read(self, number: int) -> bytes:
        """Return the content of an image's file.

        Raises:
            DataFileError: it cannot be read.
        """
        ...


class Noted(NamedTuple):
    """Of how many images something is said; 0 or 1 of a single one.

    Attributes:
        by_pillow: they are of a kind that Pillow had to read.
        enlarged: their shorter side is below the size that they are brought to.
    """

    by_pillow: int = 0
    enlarged: int = 0

    def plus(self, other: "Noted") -> "Noted":
        """Return the sums."""
        return Noted(self.by_pillow + other.by_pillow, self.enlarged + other.enlarged)


def read_file(path: Path) -> bytes:
    """Return a file's content, or raise DataFileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = " ".join(str(error).split())[:120]
        raise DataFileError(f"{path}: cannot be read ({reason})") from error


def decode(content: bytes, name: str, side: int) -> tuple[UInt8[Tensor, "3 side side"], Noted]:
    """Return an image's centre, and what is to say of it.

    The shorter side is brought to ``8 / 7 * side`` pixels (256 for 224; a smaller image is
    enlarged), bilinear with antialiasing; then the centre is cut out. What EXIF says of a rotation
    is ignored, as torchvision does.

    Args:
        content: of the file.
        name: of the file, for errors.
        side: height and width of what is returned.

    Raises:
        DataFileError: it cannot be decoded.
    """
    from torchvision.transforms.v2 import functional as F

    image, by_pillow = decode_whole(content, name)
    resized = F.resize(image, [round(side * MARGIN)], antialias=True)
    return F.center_crop(resized, [side, side]), _noted(image, by_pillow, side)


def decode_cropped(
    content: bytes, name: str, side: int, least_area: float, seed: int, index: int
) -> tuple[UInt8[Tensor, "3 side side"], Noted]:
    """Return a random part of an image at full size, mirrored with odds of one half.

    Which part depends on ``seed`` and ``index`` alone, whatever process decodes it; see
    ``crop_box``. It is resized bilinear with antialiasing.

    Args:
        content, name, side: as for ``decode``.
        least_area: of the image that the part has.
        seed: of the epoch.
        index: of the image in the data set.

    Returns:
        The image, and what is to say of it.

    Raises:
        DataFileError: it cannot be decoded.
    """
    from torchvision.transforms.v2 import functional as F

    image, by_pillow = decode_whole(content, name)
    stream = seeding.generator(seed, "crop", index)
    box = crop_box(image.shape[1], image.shape[2], least_area, stream)
    part = F.resized_crop(image, *box, [side, side], antialias=True)
    is_mirrored = bool(torch.rand((), generator=stream) < 0.5)
    return part.flip(2) if is_mirrored else part, _noted(image, by_pillow, side)


def _noted(image: UInt8[Tensor, "3 height width"], by_pillow: bool, side: int) -> Noted:
    return Noted(int(by_pillow), int(min(image.shape[1:]) < side))


def shorter_side(content: bytes) -> int:
    """Return the smaller of an image's height and width, by the head of its file; 0 if unknown."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            return min(image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0  # the decoder says what is wrong


def decode_whole(content: bytes, name: str) -> tuple[UInt8[Tensor, "3 height width"], bool]:
    """Return a whole image in RGB, and whether Pillow had to read it; see ``decode``."""
    from PIL import Image, UnidentifiedImageError
    from torchcodec import decoders

    readers: dict[bytes, Any] = {  # by the first bytes: names can be wrong or missing
        JPEG: decoders.decode_jpeg,
        b"\x89P": decoders.decode_png,
        b"RI": decoders.decode_webp,
    }
    try:
        if _is_turned(content):  # torchcodec would turn it
            return _decode_by_pillow(content), True
        try:
            return readers[content[:2]](content, mode="RGB"), False
        except (KeyError, RuntimeError, ValueError):  # animated, or of another format
            return _decode_by_pillow(content), True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # whose message has an address in memory
            reason = "no image, or of an unknown format"
        raise DataFileError(f"{name}: cannot be decoded ({reason})") from error


def _is_turned(content: bytes) -> bool:
    """Whether EXIF says that an image is to be turned."""
    from PIL import Image

    # Without regard to case the search takes half as long as the decoding of a JPEG.
    is_jpeg = content.startswith(JPEG)
    if not (JPEG_EXIF in content if is_jpeg else re.search(rb"exif", content, re.IGNORECASE)):
        return False
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.getexif().get(ORIENTATION, 1) != 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the decoder says what is wrong


def _decode_by_pillow(content: bytes) -> UInt8[Tensor, "3 height width"]:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if image.mode.startswith("I"):  # grey with 16 bits: convert() would clip, not scale it
            levels = np.asarray(image).astype(np.float64) / 257
            grey = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
            image = grey
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
