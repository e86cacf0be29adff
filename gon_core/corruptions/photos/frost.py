"""frost: a photo of frost laid over the image.

Nobody states a licence for the frost photos of ImageNet-C, so they are not part of this package.
They come with the extra ``frost`` (``imagecorruptions-imaug``), or from a folder of yours.
"""

import functools
import importlib.util
import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gon_core.benchmarks.cifar10 import FROST_VARIABLE
from gon_core.corruptions.photos.draws import Draws

# The published sets have a sixth photo and never use it.
PHOTOS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
PACKAGE = "imagecorruptions"


def folder(given: Path | None = None) -> Path | None:
    """Return the folder of frost photos: the given one, or the installed package's, or None.

    The environment variable ``GON_FROST_DIR`` gives one to a whole sweep.

    Raises:
        ValueError: the given folder lacks a photo; names all that are missing.
    """
    given = given or (Path(named) if (named := os.environ.get(FROST_VARIABLE)) else None)
    if given is not None:
        missing = [name for name in PHOTOS if not (given / name).is_file()]
        if missing:
            raise ValueError(f"{given} must have the frost photos {', '.join(missing)}")
        return given
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    installed = Path(found.origin).parent / "frost"
    return installed if all((installed / name).is_file() for name in PHOTOS) else None


def frost(
    images: Float[Tensor, "batch 3 height width"],
    draws: Draws,
    kept: float,
    added: float,
    scale: float,
    photos: Path,
) -> Float[Tensor, "batch 3 height width"]:
    """Return a x + b F, with F a random part of a random frost photo.

    Args:
        images: in [0, 1].
        draws: three numbers an image.
        kept: a.
        added: b.
        scale: of the frost photos.
        photos: their folder.
    """
    height, width = images.shape[-2:]
    parts = []
    for which, down, along in draws.uniform(0.0, 1.0, 3).tolist():
        photo = _photo(photos / PHOTOS[int(which * len(PHOTOS))], scale)
        top = int(down * (photo.shape[1] - height))
        left = int(along * (photo.shape[2] - width))
        parts.append(photo[:, top : top + height, left : left + width])
    shown = torch.stack(parts).to(images.device).float() / 255
    return shown.mul_(added).add_(images, alpha=kept)


@functools.lru_cache(maxsize=len(PHOTOS))
def _photo(path: Path, scale: float) -> UInt8[Tensor, "3 height width"]:
    from PIL import Image  # no other part of this package needs Pillow on a GPU

    with Image.open(path) as file:
        pixels = np.array(file.convert("RGB"))
    if scale != 1:
        import cv2  # takes a second

        pixels = cv2.resize(pixels, (0, 0), fx=scale, fy=scale)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
