"""ImageNet-C as published: <root>/<corruption>/<severity>/<class>/<image>, read in batches."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.benchmarks.imagenet_c import CORRUPTIONS
from gon_core.data.corruption_folders import check_names, folder_faults, refuse, subfolders
from gon_core.data.decoding import decode_whole, read_file
from gon_core.data.files import DataFileError

EXTRA = ("gaussian_blur", "saturate", "spatter", "speckle_noise")  # published too, not in the mCE
SEVERITIES = (1, 2, 3, 4, 5)
SUFFIXES = (".jpeg", ".jpg", ".png")

LabelledBatch = tuple[UInt8[Tensor, "batch 3 height width"], Int64[Tensor, " batch"]]


@dataclass(frozen=True)
class ImageNetC:
    """A set in ImageNet-C's layout whose folders are right.

    Attributes:
        root: the folder that holds one folder per corruption.
        corruptions: their names.
        classes: names of the class folders, sorted; a class's label is its place.
        side: height and width of each image.
        images: in each class, the names of its images, sorted; equal for all corruptions.
        chosen: numbers of the images that are read, of all in their order; None for all.
    """

    root: Path
    corruptions: tuple[str, ...]
    classes: tuple[str, ...]
    side: int
    images: tuple[tuple[str, ...], ...]
    chosen: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """The number of images under each corruption at each severity."""
        return sum(map(len, self.images)) if self.chosen is None else len(self.chosen)

    def only(self, numbers: Sequence[int]) -> "ImageNetC":
        """Return some of all images."""
        return replace(self, chosen=tuple(numbers))

    @property
    def digest(self) -> str:
        """SHA-256 of the names of all images, chosen or not."""
        return hashlib.sha256(f"{self.classes} {self.images}".encode()).hexdigest()

    @property
    def paths(self) -> tuple[str, ...]:
        """``class/image`` of each, in the order in which they are read."""
        return tuple(path for path, _ in self._listed)

    @property
    def labels(self) -> Int64[Tensor, " image"]:
        """The class of each."""
        return torch.tensor([label for _, label in self._listed], dtype=torch.int64)

    @cached_property
    def _listed(self) -> list[tuple[str, int]]:
        everything = [
            (f"{name}/{image}", label)
            for label, (name, images) in enumerate(zip(self.classes, self.images, strict=True))
            for image in images
        ]
        if self.chosen is None:
            return everything
        return [everything[number] for number in self.chosen]

    def batches(
        self, corruption: str, severity: int, batch_size: int = 64
    ) -> Iterator[LabelledBatch]:
        """Yield RGB images 0..255 and their labels, read while they are iterated over.

        The order is that of the sorted class folders and in each that of the sorted file names, or
        that of ``chosen``.

        Raises:
            DataFileError: an image cannot be decoded or has another size; names all of its batch.
        """
        folder = self.root / corruption / str(severity)
        for start in range(0, len(self), batch_size):
            paths, labels = zip(*self._listed[start : start + batch_size], strict=True)
            yield _read([folder / path for path in paths], self.side), torch.tensor(labels)


def open_folder(
    root: Path, corruptions: Sequence[str] = CORRUPTIONS, classes: int = 1000, side: int = 224
) -> ImageNetC:
    """Look whether every folder is there, for all corruptions with the same images; read none.

    Args:
        root: the folder that holds one folder per corruption.
        corruptions: those to evaluate; the published ones beyond the 15 may lie beside them.
        classes: how many there must be, the model's number of answers: with fewer folders the
            labels would be shifted.
        side: height and width that every image must have.

    Raises:
        DataFileError: names every corruption folder that is missing or unknown, every missing or
            unknown severity, and every class folder that is missing, unknown, empty or has other
            images than the first severity of the first corruption.
        ValueError: unknown corruption.
    """
    check_names(corruptions, CORRUPTIONS + EXTRA)
    root = Path(root)
    faults = folder_faults(root, corruptions, CORRUPTIONS + EXTRA)
    folders = []
    for corruption in corruptions:
        if (root / corruption).is_dir():
            found, missing = _severities(root / corruption)
            folders += found
            faults += missing
    refuse(faults)  # the classes of a set without its folders would only repeat this
    reference = _classes(folders[0])
    faults = [f"{folders[0] / name}: no images" for name, images in reference.items() if not images]
    if len(reference) != classes:
        faults.append(f"{folders[0]}: {len(reference)} class folders, expected {classes}")
    for folder in folders[1:]:
        faults += _difference(folder, _classes(folder), reference)
    refuse(faults)
    names = tuple(reference.values())  # the path is absolute, for tasks that work in other folders
    return ImageNetC(root.absolute(), tuple(corruptions), tuple(reference), side, names)


def _severities(folder: Path) -> tuple[list[Path], list[str]]:
    found, wanted = subfolders(folder), [str(severity) for severity in SEVERITIES]
    faults = [f"{folder / name}: no such folder" for name in wanted if name not in found]
    faults += [f"{folder / name}: severities are 1 to 5" for name in found if name not in wanted]
    return [folder / name for name in wanted], faults


def _classes(folder: Path) -> dict[str, tuple[str, ...]]:
    return {name: _images(folder / name) for name in subfolders(folder)}


def _images(folder: Path) -> tuple[str, ...]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise DataFileError(f"{folder}: cannot be read ({error.strerror})") from error
    shown = [name for name in names if not name.startswith(".")]
    return tuple(sorted(name for name in shown if name.lower().endswith(SUFFIXES)))


def _difference(
    folder: Path, found: dict[str, tuple[str, ...]], reference: dict[str, tuple[str, ...]]
) -> list[str]:
    faults = [f"{folder / name}: no such folder" for name in reference if name not in found]
    faults += [f"{folder / name}: an unknown class" for name in found if name not in reference]
    for name in reference:
        if name in found and found[name] != reference[name]:
            lacking = len(set(reference[name]) - set(found[name]))
            more = len(set(found[name]) - set(reference[name]))
            faults.append(f"{folder / name}: {lacking} images missing, {more} unknown")
    return faults


def _read(paths: Sequence[Path], side: int) -> UInt8[Tensor, "batch 3 height width"]:
    images, faults = [], []
    for path in paths:
        try:
            image, _ = decode_whole(read_file(path), str(path))
        except DataFileError as error:
            faults.append(str(error))
            continue
        if image.shape[1:] != (side, side):
            height, width = image.shape[1:]
            faults.append(f"{path}: {height} x {width} pixels, expected {side} x {side}")
        images.append(image)
    refuse(faults)
    return torch.stack(images)
