"""CIFAR-10-C as published: one .npy file a corruption, all severities in a row."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from gon_core.benchmarks.cifar10 import TEST
from gon_core.data.corruption_folders import refuse
from gon_core.data.files import DataFileError
from gon_core.data.npy import open_array, read_header
from gon_core.data.splits import LabelledImages

IMAGES, SIDE, CLASSES = 10_000, 32, 10  # of each severity
ROWS = IMAGES * len(TEST.severities)
LABELS = "labels"
BLOCK = 2**24  # bytes that are hashed at a time


def check(root: Path) -> str:
    """Look whether every file is there and whole; return the SHA-256 of all of them.

    The files are ``<root>/<corruption>.npy``, uint8 [50000, 32, 32, 3], severity 1 first, and
    ``labels.npy``, integers [50000] from 0 to 9, the same for each severity. No pickle is read.

    Raises:
        DataFileError: names every file that is missing or faulty.

    References:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
        Perturbations, 2019.
    """
    root, faults = Path(root), []
    if not root.is_dir():
        raise DataFileError(f"{root}: no such folder")
    for name in (*TEST.corruptions, LABELS):
        path, wanted = _path(root, name), (ROWS, SIDE, SIDE, 3) if name != LABELS else (ROWS,)
        header = read_header(path)
        if isinstance(header, str):
            faults.append(f"{path}: {header}")
        elif header.shape != wanted:
            faults.append(f"{path}: the shape is {list(header.shape)}, expected {list(wanted)}")
        elif header.dtype != np.uint8 and (name != LABELS or header.dtype.kind not in "iu"):
            faults.append(f"{path}: the type is {header.dtype}, expected uint8")
    refuse(faults)
    labels = open_array(_path(root, LABELS)).reshape(len(TEST.severities), IMAGES)
    if labels.min() < 0 or labels.max() >= CLASSES or not (labels == labels[0]).all():
        refuse([f"{_path(root, LABELS)}: must repeat 10,000 labels from 0 to 9 five times"])
    sha = hashlib.sha256()
    for name in (*TEST.corruptions, LABELS):
        with _path(root, name).open("rb") as file:
            while block := file.read(BLOCK):
                sha.update(block)
    return sha.hexdigest()


def load(
    root: Path, chosen: Int64[Tensor, " image"], corruptions: Sequence[str] = TEST.corruptions
) -> Mapping[tuple[str, int], LabelledImages]:
    """Return the corrupted images by corruption and severity, once ``check`` found them whole.

    Args:
        root: the folder of the set.
        chosen: which images of each, by their indices.
        corruptions: those to read.
    """
    whole = np.array(open_array(_path(root, LABELS))[:IMAGES], dtype=np.int64)
    rows = chosen.numpy()
    labels = torch.from_numpy(whole[rows])
    found = {}
    for name in corruptions:
        array = open_array(_path(root, name))
        for turn, severity in enumerate(TEST.severities):
            images = torch.from_numpy(array[turn * IMAGES + rows])
            found[name, severity] = LabelledImages(images.permute(0, 3, 1, 2).contiguous(), labels)
    return found


def _path(root: Path, name: str) -> Path:
    return Path(root) / f"{name}.npy"
