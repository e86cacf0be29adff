"""What a set of encoded images holds, wherever it is: the names of its classes, and the images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from gon_core.config.trial import FolderConfig, ImageSize
from gon_core.data.decoding import Encoded, read_file

LabelledSource = tuple[Encoded, Int64[Tensor, " _"]]
"""Images as they are stored, and the class of each."""


@dataclass(frozen=True)
class Files:
    """Images in files of their own; see ``Encoded``.

    Attributes:
        root: their folder.
        paths: of the files, below it.
    """

    root: Path
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, numbers: list[int]) -> "Files":
        return replace(self, paths=tuple(self.paths[number] for number in numbers))

    def name(self, number: int) -> str:
        """Return the path of an image."""
        return str(self.root / self.paths[number])

    def read(self, number: int) -> bytes:
        """Return the content of an image's file."""
        return read_file(self.root / self.paths[number])


@runtime_checkable
class Listing(Protocol):
    """What a set of images holds, once it was looked at."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, sorted; a class's label is its place."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what distinguishes it from other sets."""
        ...

    def describe(self, image_size: ImageSize) -> FolderConfig:
        """Return what a trial's configuration says of it."""
        ...

    def every(self, step: int) -> "Listing":
        """Return the first class and each that comes so many after it."""
        ...

    def open(self) -> tuple[LabelledSource, LabelledSource]:
        """Return training and test images, which can be read from now on.

        Raises:
            DataFileError: they cannot be read.
        """
        ...


def labels_of(labels: list[int]) -> Int64[Tensor, " image"]:
    """Return the classes of images as a tensor."""
    return torch.tensor(labels, dtype=torch.int64)
