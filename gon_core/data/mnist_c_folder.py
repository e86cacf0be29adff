"""MNIST-C as published: a folder of .npy files per corruption."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gon_core.benchmarks.mnist import MNIST
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data.corruption_folders import check_names, folder_faults, refuse
from gon_core.data.npy import open_array, read_header
from gon_core.data.splits import LabelledImages
from gon_core.measurement import CLEAN

IDENTITY = "identity"  # the published name of the images without corruption
(SIDE, _), CLASSES = MNIST.image_shape[1:], MNIST.classes
BLOCK = 1000  # images in memory at a time beside the result

PARTS = ("train", "test")


def load(
    root: Path, part: str = "test", corruptions: Sequence[str] = CORRUPTIONS
) -> dict[str, LabelledImages]:
    """Load the corrupted images below ``root``.

    The files are ``<root>/<corruption>/<part>_images.npy``, uint8 [n, 28, 28, 1] or [n, 28, 28]
    with grey levels 0..255, and ``<part>_labels.npy``, integers [n] from 0 to 9. Images of floats
    in [0, 1] are taken too and rounded to 8 bits, which all of MNIST-C is. No pickle is read.

    Args:
        root: the folder of the set.
        part: ``train`` or ``test``.
        corruptions: those to load; the folder ``identity``, without corruption, is always wanted.

    Returns:
        The images by corruption, the uncorrupted ones under ``clean`` first; all have the same
        labels in the same order.

    Raises:
        DataFileError: see ``check``.

    References:
        Appendix E; Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    check(root, part, corruptions)
    names = {CLEAN: IDENTITY} | {name: name for name in corruptions}
    return {name: _read(root / folder, part) for name, folder in names.items()}


def check(root: Path, part: str = "test", corruptions: Sequence[str] = CORRUPTIONS) -> None:
    """Look whether every file that ``load`` would read is there and whole.

    Shapes, types and lengths are judged by the files' heads; then labels and, of images of floats,
    their range.

    Raises:
        DataFileError: names every folder that is missing or unknown and every faulty file.
        ValueError: unknown part or corruption.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    check_names(corruptions, CORRUPTIONS)
    root = Path(root)
    wanted = (IDENTITY, *corruptions)
    faults = folder_faults(root, wanted, (IDENTITY, *CORRUPTIONS))
    reference: tuple[str, np.ndarray] | None = None
    for name in wanted:
        if not (root / name).is_dir():
            continue
        images, labels = _paths(root / name, part)
        image_count, image_faults = _image_faults(images)
        values, label_faults = _labels(labels)
        faults += image_faults + label_faults
        if values is None:
            continue
        if image_count is not None and image_count != len(values):
            faults.append(f"{images}: {image_count} images but {len(values)} labels")
        reference = reference or (name, values)
        if not np.array_equal(values, reference[1]):
            faults.append(f"{labels}: other labels than those of {reference[0]}")
    refuse(faults)


def _paths(folder: Path, part: str) -> tuple[Path, Path]:
    return folder / f"{part}_images.npy", folder / f"{part}_labels.npy"


def _image_faults(path: Path) -> tuple[int | None, list[str]]:
    # The number of images, None where the file does not say.
    header = read_header(path)
    if isinstance(header, str):
        return None, [f"{path}: {header}"]
    (count, *axes), dtype = header.shape or (0,), header.dtype
    faults = []
    if axes not in ([SIDE, SIDE], [SIDE, SIDE, 1]) or not count:
        faults.append(
            f"{path}: the shape is {list(header.shape)}, expected [n, {SIDE}, {SIDE}] or "
            f"[n, {SIDE}, {SIDE}, 1]"
        )
    if dtype != np.uint8 and dtype.kind != "f":
        faults.append(f"{path}: the type is {dtype}, expected uint8 (or floats in [0, 1])")
    elif dtype.kind == "f" and not faults:
        faults += _range_faults(path)
    return (None if faults else count), faults


def _range_faults(path: Path) -> list[str]:
    images = open_array(path)
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    lowest = np.min([block.min() for block in blocks])  # NaN if there is one
    highest = np.max([block.max() for block in blocks])
    if lowest >= 0 and highest <= 1:
        return []
    return [f"{path}: values from {lowest:g} to {highest:g}, expected 0 to 1 for {images.dtype}"]


def _labels(path: Path) -> tuple[np.ndarray | None, list[str]]:
    # Labels are read whole only when their head is right.
    header = read_header(path)
    if isinstance(header, str):
        return None, [f"{path}: {header}"]
    if len(header.shape) != 1:
        return None, [f"{path}: the shape is {list(header.shape)}, expected [n]"]
    if header.dtype.kind not in "iu":
        return None, [f"{path}: the type is {header.dtype}, expected integers"]
    labels = np.array(open_array(path)) if header.shape[0] else np.zeros(0, np.int64)
    if len(labels) and (labels.min() < 0 or labels.max() >= CLASSES):
        found = f"labels from {labels.min()} to {labels.max()}"
        return None, [f"{path}: {found}, expected 0 to {CLASSES - 1}"]
    return labels, []


def _read(folder: Path, part: str) -> LabelledImages:
    image_path, label_path = _paths(folder, part)
    found = open_array(image_path)
    images = np.empty((len(found), SIDE, SIDE), np.uint8)
    for start in range(0, len(found), BLOCK):
        block = found[start : start + BLOCK].reshape(-1, SIDE, SIDE)
        if block.dtype.kind == "f":
            block = np.rint(block.astype(np.float32) * 255)
        images[start : start + BLOCK] = block
    labels = np.array(open_array(label_path), dtype=np.int64)
    return LabelledImages(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels))
