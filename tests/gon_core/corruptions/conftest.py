"""Real digits and photos for the tests of the corruptions."""

import functools
import gzip
from collections.abc import Callable
from pathlib import Path

import foolbox
import numpy as np
import pytest
import torch
from PIL import Image

import gon_core


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """The first 2000 MNIST test images, uint8 [2000, 28, 28]: those of the published statistics."""
    archive = Path(gon_core.__file__).parent / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    header = 16
    pixels = np.frombuffer(gzip.decompress(archive.read_bytes()), np.uint8, offset=header)
    return torch.from_numpy(pixels[: 2000 * 28 * 28].reshape(2000, 28, 28).copy())


@pytest.fixture(scope="session")
def photos() -> Callable[[int, int], torch.Tensor]:
    """Return the first of foolbox's 20 ImageNet photos at a side in pixels, uint8 [n, 3, s, s]."""

    @functools.cache
    def load(count: int, side: int) -> torch.Tensor:
        folder = Path(foolbox.__file__).parent / "data"
        shown = []
        for path in sorted(folder.glob("imagenet_*"))[:count]:
            photo = Image.open(path).convert("RGB")
            square = min(photo.size)
            photo = photo.crop((0, 0, square, square)).resize((side, side))
            shown.append(torch.from_numpy(np.array(photo)))
        return torch.stack(shown).permute(0, 3, 1, 2).contiguous()

    return load
