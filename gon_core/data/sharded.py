"""Images in Parquet shards, as Hugging Face serves ImageNet and most sets of classified images.

``train-*.parquet`` and ``validation-*.parquet`` have the columns ``image`` (``bytes``, ``path``)
and ``label``. A row of Parquet cannot be read alone, so each machine copies what it needs once into
Arrow files of its own, from which any image is read at once; all processes of the machine share
them through the page cache.
"""

import fcntl
import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import fs, ipc, parquet

from gon_core import cache
from gon_core.config.trial import FolderConfig, ImageSize
from gon_core.data.corruption_folders import refuse
from gon_core.data.files import DataFileError
from gon_core.data.listing import LabelledSource, labels_of
from gon_core.data.parquet_folder import (
    PARTS,
    Numbers,
    open_folder,
    read_labels,
    reason,
    shard_sizes,
    shown,
)

ROWS = 256  # of a batch of an Arrow file
SCHEMA = pa.schema([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Shards:
    """Images in an Arrow file of this machine; see ``gon_core.data.decoding.Encoded``.

    Another machine makes a file of its own when it reads the first of them.

    Attributes:
        path: of the file.
        rows: of it, in this order.
        listing: what the file is a copy of.
        part: which images.
    """

    path: Path
    rows: Numbers
    listing: "ShardListing | None" = None
    part: str = "training"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: list[int]) -> "Shards":
        return replace(self, rows=self.rows[numbers])

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all images, as the shards say."""
        return tuple(self._cell(number, "path").as_py() or "" for number in range(len(self)))

    def name(self, number: int) -> str:
        """Return the path of an image, as the shard says."""
        return self._cell(number, "path").as_py() or f"{self.path}: row {self.rows[number]}"

    def read(self, number: int) -> bytes:
        """Return the content of an image's file."""
        return self._cell(number, "bytes").as_py()

    def _cell(self, number: int, column: str) -> Any:
        batch, row = divmod(int(self.rows[number]), ROWS)
        return self._file.get_batch(batch)[column][row]

    @cached_property
    def _file(self) -> ipc.RecordBatchFileReader:
        path = self.path
        if self.listing is not None and not path.exists():
            path = local_copy(self.listing, self.part)
        return ipc.open_file(pa.memory_map(str(path)))

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens the file anew.
        return {name: value for name, value in self.__dict__.items() if name != "_file"}


@dataclass(frozen=True)
class ShardListing:
    """What a folder of shards holds; see ``gon_core.data.listing``.

    Attributes:
        uri: of the folder: a path, or one of any filesystem of pyarrow.
        classes: their names, where the shards say them; else their numbers.
        files: names of the shards, by part.
        labels: the class of each image, in the order of the shards, by part.
        digest: SHA-256 of the names and sizes of all shards, of all labels, and of what is taken.
        copies: the same of each part alone, which names its copy on a machine: whoever reads only
            the test images shares theirs with whoever trains as well.
        rows: the images that are taken, by part, in ascending order; all where a part is left out.
    """

    uri: str
    classes: tuple[str, ...]
    files: dict[str, tuple[str, ...]]
    labels: dict[str, Numbers]
    digest: str
    copies: dict[str, str]
    rows: dict[str, Numbers] = field(default_factory=dict)

    def describe(self, image_size: ImageSize) -> FolderConfig:
        """Return what a trial's configuration says of it."""
        training, test = (len(self.labels[part]) for part in PARTS)
        return FolderConfig(
            image_size=image_size, classes=len(self.classes), training_images=training,
            test_images=test, digest=self.digest,
        )  # fmt: skip

    def every(self, step: int) -> "ShardListing":
        """Return the first class and each that comes so many after it."""
        rows = {part: np.flatnonzero(labels % step == 0) for part, labels in self.labels.items()}
        labels = {part: self.labels[part][rows[part]] // step for part in PARTS}

        def of_these(digest: str) -> str:
            return hashlib.sha256(f"{digest} every {step}".encode()).hexdigest()

        return replace(
            self, classes=self.classes[::step], labels=labels, rows=rows,
            digest=of_these(self.digest),
            copies={part: of_these(digest) for part, digest in self.copies.items()},
        )  # fmt: skip

    def open(self) -> tuple[LabelledSource, LabelledSource]:
        """Return training and test images, which are copied to this machine first.

        Raises:
            DataFileError: a shard cannot be read, or there is no room.
        """
        training, test = (
            (
                Shards(self._place(part), np.arange(len(self.labels[part])), self, part),
                labels_of(self.labels[part].tolist()),
            )
            for part in PARTS
        )
        return training, test

    def _place(self, part: str) -> Path:
        return local_copy(self, part) if self.files[part] else Path()


def scan(uri: str, parts: Collection[str] = tuple(PARTS)) -> ShardListing:
    """Return what a folder of shards holds; of the columns only the labels are read.

    Args:
        uri: of the folder.
        parts: those that must be there; others are not looked at.

    Raises:
        DataFileError: there are no shards of a part, one cannot be read or lacks a column, or its
            labels are not those of the classes; names them all, the first 20 in full.
    """
    filesystem, root = open_folder(uri)
    sizes, faults = shard_sizes(filesystem, root, uri), []
    sizes = {part: sizes[part] for part in parts}
    found = {part: tuple(sizes.get(part, ())) for part in PARTS}
    names: tuple[str, ...] = ()
    labels: dict[str, Numbers] = {}
    for part, files in found.items():
        if not files and part in parts:
            faults.append(f"{shown(uri)}: no {PARTS[part][0]}*.parquet")
        columns = []
        for name in files:
            try:
                said, column = read_labels(filesystem, f"{root}/{name}")
                names = names or said
                columns.append(column)
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                faults.append(f"{shown(uri)}/{name}: {reason(error)}")
        labels[part] = np.concatenate([*columns, np.zeros(0, np.int64)])
    refuse(faults)
    count = len(names) or int(labels[next(iter(parts))].max(initial=0)) + 1
    for part, own in ((part, labels[part]) for part in parts):
        wrong = own[(own < 0) | (own >= count)]
        missing = sorted(set(range(count)) - set(np.unique(own).tolist()))
        fault, which = f"{shown(uri)}: {part} images", f"of the {count:,} classes, such as"
        if len(wrong):
            faults.append(f"{fault} have labels that are none {which} {wrong[0]}")
        elif missing:
            faults.append(f"{fault} are missing for {len(missing):,} {which} {missing[0]}")
    if count < 2:
        faults.append(f"{shown(uri)}: one class; needs two or more")
    refuse(faults)
    copies = {part: _digest({part: sizes[part]}, {part: labels[part]}) for part in parts}
    digest = _digest(sizes, labels)
    classes = names or tuple(map(str, range(count)))
    place = uri if "://" in uri else root  # absolute, for processes that work in other folders
    return ShardListing(place, classes, found, labels, digest, copies)


def _digest(sizes: dict[str, dict[str, int]], labels: dict[str, Numbers]) -> str:
    sha = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode())
    for own in labels.values():
        sha.update(own.tobytes())
    return sha.hexdigest()


def training_paths(listing: ShardListing) -> list[str]:
    """Return the paths of the training images, "" where shards say none; nothing else is read.

    Raises:
        DataFileError: a shard cannot be read.
    """
    filesystem, root = open_folder(listing.uri)
    found: list[str] = []
    for name in listing.files["training"]:
        try:
            with filesystem.open_input_file(f"{root}/{name}") as content:
                rows = parquet.ParquetFile(content).read(columns=["image.path"]).to_pylist()
        except (pa.ArrowException, ValueError, OSError) as error:
            raise DataFileError(f"{shown(listing.uri)}/{name}: {reason(error)}") from error
        found += [(row.get("image") or {}).get("path") or "" for row in rows]
    taken = listing.rows.get("training")
    return found if taken is None else [found[row] for row in taken.tolist()]


def local_copy(listing: ShardListing, part: str) -> Path:
    """Return the Arrow file of this machine with the images of a part, made if there is none.

    It lies in the folder that the environment variable ``GON_CACHE_DIR`` names, by default
    ``~/.cache/game-of-noise``. One process makes it while others wait.

    Raises:
        DataFileError: a shard cannot be read, or the file cannot be written.
    """
    folder = cache.folder()
    path = folder / f"{listing.copies[part][:16]}-{part}.arrow"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made = path.with_suffix(".part")
                try:
                    _copy(listing, part, made)
                    made.replace(path)
                finally:
                    made.unlink(missing_ok=True)  # where it failed: it may have filled the disk
    except OSError as error:
        rule = f"set {cache.VARIABLE} to a folder with room for the images"
        raise DataFileError(f"{folder}: {reason(error)}; {rule}") from error
    return path


def _copy(listing: ShardListing, part: str, path: Path) -> None:
    filesystem, root = open_folder(listing.uri)
    with pa.OSFile(str(path), "wb") as file, ipc.new_file(file, SCHEMA) as writer:
        for rows in _batches(filesystem, root, listing, part):
            writer.write_batch(rows)


def _batches(
    filesystem: fs.FileSystem, root: str, listing: ShardListing, part: str
) -> Iterator[pa.RecordBatch]:
    """Yield the images that are taken in batches of ``ROWS``; the last one may be smaller."""
    waiting: list[dict[str, Any]] = []
    taken, first = listing.rows.get(part), 0
    for name in listing.files[part]:
        try:
            with filesystem.open_input_file(f"{root}/{name}") as content:
                for batch in parquet.ParquetFile(content).iter_batches(ROWS, columns=["image"]):
                    images = batch["image"]
                    if taken is not None:
                        last = first + len(images)
                        here = taken[np.searchsorted(taken, first) : np.searchsorted(taken, last)]
                        images, first = images.take(pa.array(here - first)), last
                    waiting += images.to_pylist()
                    while len(waiting) >= ROWS:
                        yield _rows(waiting[:ROWS])
                        waiting = waiting[ROWS:]
        except (pa.ArrowException, ValueError, OSError) as error:
            raise DataFileError(f"{shown(listing.uri)}/{name}: {reason(error)}") from error
    if waiting:
        yield _rows(waiting)


def _rows(images: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    columns = {"bytes": [i["bytes"] for i in images], "path": [i.get("path") for i in images]}
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)
