"""Real digits for the tests of the corruptions."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import gon_core


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """The first 2000 MNIST test images, uint8 [2000, 28, 28]: those of the published statistics."""
    archive = Path(gon_core.__file__).parent / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    header = 16
    pixels = np.frombuffer(gzip.decompress(archive.read_bytes()), np.uint8, offset=header)
    return torch.from_numpy(pixels[: 2000 * 28 * 28].reshape(2000, 28, 28).copy())
