"""Stylised versions of training images: texture gone, shape kept.

They lie in the same class folders as the images themselves, as Geirhos et al. write them
(``<root>/train/<wnid>/<same stem>.png``), or in shards whose classes have the same names. Shards of
Hugging Face name ImageNet's classes in words: these are compared by the ids in the images' paths.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import torch
from jaxtyping import Int64
from torch import Tensor

from gon_core.data import image_folder, parquet_folder, sharded
from gon_core.data.corruption_folders import MOST_FAULTS
from gon_core.data.decoding import Encoded
from gon_core.data.files import DataFileError
from gon_core.data.folder_images import FolderImages
from gon_core.data.listing import Files, Listing
from gon_core.data.splits import Images, Splits

WNID = re.compile(r"(?<![a-z0-9])n\d{8}(?!\d)")  # of WordNet: ImageNet's name of a class


def scan(place: Path) -> Listing:
    """Return what a folder of stylised images holds.

    Args:
        place: a folder with ``train/<class>/*``, or ``<class>/*`` alone; or a folder, or address,
            of shards ``train-*.parquet``.

    Raises:
        DataFileError: see ``gon_core.data.image_folder.scan`` and ``gon_core.data.sharded.scan``.
    """
    uri = parquet_folder.as_uri(place)
    if parquet_folder.is_sharded(uri):
        return sharded.scan(uri, ("training",))
    return image_folder.scan_training(place)


def by_wnid(listing: Listing) -> Listing:
    """Return a listing of shards with WordNet ids for the names of its classes, if paths say these.

    The paths of all training images of a class must end with one and the same, as those of
    ImageNet do at Hugging Face (``n01440764_10026.JPEG``), where the names are words.

    Raises:
        DataFileError: a shard cannot be read.
    """
    if not isinstance(listing, sharded.ShardListing):
        return listing
    found: list[set[str]] = [set() for _ in listing.classes]
    paths = sharded.training_paths(listing)
    for path, label in zip(paths, listing.labels["training"].tolist(), strict=True):
        found[label].update(WNID.findall(path)[-1:] or [""])
    classes = tuple("".join(ids) for ids in found)
    is_one = all(map(WNID.fullmatch, classes)) and len({*classes}) == len(classes)
    return replace(listing, classes=classes) if is_one else listing


def check_classes(place: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse other classes than those of the images themselves: the labels would be others.

    Raises:
        DataFileError: names those that are missing, and those that are too many.
    """
    faults = []
    for fault, names in (
        ("no folder of", sorted(set(wanted) - set(found))),
        ("no such class among the training images:", sorted(set(found) - set(wanted))),
    ):
        shown = ", ".join(names[:MOST_FAULTS])
        more = f" and {len(names) - MOST_FAULTS:,} more" if len(names) > MOST_FAULTS else ""
        faults += [f"{fault} {shown}{more}"] if names else []
    if faults or tuple(found) != tuple(wanted):
        where = parquet_folder.shown(parquet_folder.as_uri(place))
        raise DataFileError(f"{where}: {'; '.join(faults) or 'the classes are in another order'}")


def add(splits: Splits, stylized: Listing) -> Splits:
    """Return splits whose training images are followed by their stylised versions.

    Those are in the same class folder and of the same name, whatever its ending is. Where no names
    are the same all are taken but those of images that are held out, or for testing.

    Args:
        splits: of images in files or shards, none of them decoded yet.
        stylized: with the same classes.

    Raises:
        DataFileError: none are left.
    """
    own, source, labels = splits.training, *stylized.open()[0]
    assert isinstance(own, FolderImages), "before any image is decoded"
    names = _names(source, labels, stylized.classes)
    known = _names_of(own, stylized)
    held_out = _names_of(splits.validation, stylized) | _names_of(splits.test, stylized)
    kept = [number for number, name in enumerate(names) if name in known] or [
        number for number, name in enumerate(names) if name not in held_out
    ]
    if not kept:
        raise DataFileError("all stylised images are versions of images that are held out")
    joined = FolderImages(
        Joined(own.source, source[kept]),
        torch.cat([own.labels, labels[kept].to(own.labels.device)]),
        own.side, own.workers, own.device, own.least_area,
    )  # fmt: skip
    return replace(splits, training=joined, stylized=len(kept))


def _names_of(images: Images, stylized: Listing) -> set[str]:
    assert isinstance(images, FolderImages), "before any image is decoded"
    return set(_names(images.source, images.labels, stylized.classes))


def _names(source: Encoded, labels: Int64[Tensor, " _"], classes: Sequence[str]) -> list[str]:
    """Return the class folder and the name without its ending of each image."""
    found = []
    for number, label in enumerate(labels.tolist()):
        if isinstance(source, Files):
            path = PurePath(source.paths[number])
            found.append(str(path.with_suffix("")).removeprefix(f"{image_folder.TRAIN}/"))
        else:
            name = classes[label]  # which Hugging Face repeats at the end: ILSVRC.._n01440764.JPEG
            found.append(f"{name}/{PurePath(source.name(number)).stem.removesuffix(f'_{name}')}")
    return found


@dataclass(frozen=True)
class Joined:
    """The images of one source, then those of another; see ``gon_core.data.decoding.Encoded``."""

    first: Encoded
    second: Encoded

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, numbers: list[int]) -> Encoded:
        own = len(self.first)
        if all(number < own for number in numbers):
            return self.first[numbers]
        assert numbers == [*range(len(self))], "the first source alone is ever taken from"
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """Where each image is, below the folder of its set."""
        return (*self.first.paths, *self.second.paths)

    def name(self, number: int) -> str:
        """Return what to call an image in an error."""
        source, place = self._place(number)
        return source.name(place)

    def read(self, number: int) -> bytes:
        """Return the content of an image's file."""
        source, place = self._place(number)
        return source.read(place)

    def _place(self, number: int) -> tuple[Encoded, int]:
        own = len(self.first)
        return (self.first, number) if number < own else (self.second, number - own)
