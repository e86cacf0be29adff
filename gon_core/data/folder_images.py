"""Images in files, decoded when they are wanted, by worker processes or once into memory."""

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.data.corruption_folders import refuse
from gon_core.data.decoding import Encoded, decode, decode_cropped, shorter_side
from gon_core.data.files import DataFileError
from gon_core.data.listing import Listing
from gon_core.data.splits import LabelledImages, Splits

PREFETCHED = 4  # batches of each worker process
# What is raised where a process was killed: by torch, or because it no longer hands over what it
# has decoded.
LOST = (RuntimeError, OSError, EOFError)
RESTARTS = 3  # of worker processes that died, in one pass through the images
HEADS = 8  # files that are looked at together
MOST_KEPT = 2**31  # bytes of decoded images to test on
CHUNK = 64  # images that are decoded into memory at a time

log = logging.getLogger(__name__)


class FolderImages:
    """Images in files, decoded whenever a batch of them is wanted; see ``gon_core.data.splits``.

    Args:
        source: where they are; must be there on every machine that reads them.
        labels: the class of each.
        side: height and width that each is brought to.
        workers: processes that decode ahead while a training runs; 0 for none.
        device: where labels and batches are.
        least_area: of an image that a random crop shows, where a batch is given a seed; None if
            its centre is always shown.
    """

    def __init__(
        self, source: Encoded, labels: Int64[Tensor, " image"], side: int, workers: int = 0,
        device: str | torch.device = "cpu", least_area: float | None = None,
    ) -> None:  # fmt: skip
        self.source, self.side, self.workers = source, side, workers
        self.labels, self.least_area = labels.to(device), least_area
        self._loader: _Loader | None = None
        self._is_passing = False

    @property
    def device(self) -> torch.device:
        """Where labels and batches are."""
        return self.labels.device

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: slice | Tensor) -> "FolderImages":
        source = self.source[self._numbers(index)]
        return self._changed(source=source, labels=self.labels[index])

    def first(self, count: int | None) -> "FolderImages":
        """Return the first of the images; all for None."""
        return self[:count]

    def to(self, device: str | torch.device) -> "FolderImages":
        """Return the same images, whose batches are put on ``device``."""
        return self._changed(device=device)

    def decoded_by(self, workers: int) -> "FolderImages":
        """Return the same images, decoded by so many processes."""
        return self._changed(workers=workers)

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return the centres of some of the images, decoded in this process."""
        return self._decoded(index)

    def _decoded(
        self, index: slice | Tensor, seed: int | None = None
    ) -> UInt8[Tensor, "batch channel height width"]:
        read = _Decoder(self.source, self.side, self.least_area)
        wanted = [(number, seed) for number in self._numbers(index)]
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            found = list(pool.map(read.one, wanted))
        return self._joined(found).to(self.device)

    def batches(
        self, indices: Sequence[Tensor], seed: int | None = None, rows: slice | None = None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``; the next ones are decoded meanwhile.

        Of each batch only ``rows`` are decoded, where they are given; the others are black.

        The processes serve one pass at a time: what is asked for during a pass, as by a noise
        generator that trains alone, threads of this process decode.
        """
        if rows is not None:
            own = self.batches([index[rows] for index in indices], seed)
            for index, images in zip(indices, own, strict=True):
                whole = images.new_zeros(len(index), *images.shape[1:])
                whole[rows] = images
                yield whole
            return
        if not self.workers or self._is_passing:
            yield from (self._decoded(index, seed) for index in indices)
            return
        self._is_passing = True
        try:
            yield from self._decoded_ahead(indices, seed)
        finally:
            self._is_passing = False

    def _decoded_ahead(
        self, indices: Sequence[Tensor], seed: int | None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        wanted = [[(number, seed) for number in index.tolist()] for index in indices]
        restarts = 0
        coming = None
        for done in range(len(wanted)):
            while True:
                self._loader = self._loader or _Loader(self)
                coming = coming or self._loader.batches(wanted[done:])
                try:
                    found = next(coming)
                    break
                except LOST as error:
                    if restarts == RESTARTS:
                        raise
                    log.warning("a process that decodes images died; new ones go on (%s)", error)
                    self._loader, coming, restarts = None, None, restarts + 1
            yield self._joined(found).to(self.device, non_blocking=True)

    def in_memory(self) -> tuple[LabelledImages, int]:
        """Return the same images decoded, and how many of them Pillow had to read.

        Raises:
            DataFileError: some cannot be decoded; names the first 20.
        """
        images = torch.empty(len(self), 3, self.side, self.side, dtype=torch.uint8)
        loader, done, by_pillow, faults = _Loader(self), 0, 0, []
        for found in loader.batches(_whole(len(self))):
            for image in found:
                if isinstance(image, str):
                    faults.append(image)
                else:
                    images[done], slow = image
                    by_pillow += slow
                done += 1
        refuse(faults)
        return LabelledImages(images, self.labels.cpu()), by_pillow

    def enlarged(self) -> int:
        """Return how many are smaller than ``side``, by their shorter side."""

        def is_small(number: int) -> bool:
            return 0 < shorter_side(self.source.read(number)) < self.side

        with ThreadPoolExecutor(HEADS) as pool:
            return sum(pool.map(is_small, range(len(self))))

    def _joined(self, found: Sequence["Decoded"]) -> UInt8[Tensor, "batch 3 height width"]:
        refuse([image for image in found if isinstance(image, str)])
        if not found:  # no row of a small batch is this process's
            return torch.empty(0, 3, self.side, self.side, dtype=torch.uint8)
        return torch.stack([image[0] for image in found if not isinstance(image, str)])

    def _numbers(self, index: slice | Tensor) -> list[int]:
        return torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index].tolist()

    def _changed(self, **changes: Any) -> "FolderImages":
        now = {
            "source": self.source, "labels": self.labels, "side": self.side,
            "workers": self.workers, "device": self.labels.device, "least_area": self.least_area,
        }  # fmt: skip
        return FolderImages(**(now | changes))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loader": None, "_is_passing": False}  # its processes stay here


Decoded = tuple[Tensor, bool] | str
"""An image, and whether Pillow had to read it; or why it cannot be decoded."""


Wanted = tuple[int, int | None]
"""The number of an image, and the seed of its random crop; None for its centre."""


def _whole(count: int) -> list[list[Wanted]]:
    numbers = torch.arange(count).split(CHUNK)
    return [[(number, None) for number in part.tolist()] for part in numbers]


@dataclass(frozen=True)
class _Decoder(torch.utils.data.Dataset):
    """Decodes images by their number; what is wrong with one is returned."""

    source: Encoded
    side: int
    least_area: float | None

    def __getitem__(self, wanted: Wanted) -> Decoded:
        return self.one(wanted)

    def one(self, wanted: Wanted) -> Decoded:
        number, seed = wanted
        try:
            content, name = self.source.read(number), self.source.name(number)
            if seed is None or self.least_area is None:
                return decode(content, name, self.side)
            return decode_cropped(content, name, self.side, self.least_area, seed, number)
        except DataFileError as error:
            return str(error)


def _end_with_trial(worker: int) -> None:
    """Let a process that decodes end with the process that it decodes for, however that ends.

    torch's own check does not run while a process waits for somebody to take its images.
    """
    trial = multiprocessing.parent_process()
    assert trial is not None, "it was started by another process"

    def wait() -> None:
        trial.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class _Loader:
    """torch's DataLoader with worker processes that outlast an epoch."""

    def __init__(self, images: FolderImages) -> None:
        self._order: list[list[Wanted]] = []
        self._loader = torch.utils.data.DataLoader(
            _Decoder(images.source, images.side, images.least_area),
            batch_sampler=self._order,
            num_workers=images.workers,
            collate_fn=list,
            persistent_workers=images.workers > 0,
            prefetch_factor=PREFETCHED if images.workers else None,
            multiprocessing_context="forkserver" if images.workers else None,
            worker_init_fn=_end_with_trial,
        )

    def batches(self, wanted: Sequence[list[Wanted]]) -> Iterator[list[Decoded]]:
        self._order[:] = wanted
        yield from self._loader


def load(
    listing: Listing, side: int, least_area: float | None = None
) -> tuple[FolderImages, FolderImages]:
    """Return training and test images, in the order of the listing.

    Args:
        listing: what there is.
        side: height and width that each is brought to.
        least_area: of a training image that a random crop shows; None to show its centre.
    """
    (training, training_labels), (test, test_labels) = listing.open()
    return (
        FolderImages(training, training_labels, side, least_area=least_area),
        FolderImages(test, test_labels, side),
    )


def fits(count: int, side: int) -> bool:
    """Whether so many test images may be kept decoded: ImageNet's 50,000 would be 7.5 GB."""
    return count * 3 * side**2 <= MOST_KEPT


def keep(splits: Splits, all_of_them: bool, workers: int, in_trials: int = 0) -> tuple[Splits, int]:
    """Return splits whose images are decoded in memory, and how many Pillow had to read.

    Args:
        splits: of a folder. Test images that would take more than 2 GiB are decoded whenever they
            are wanted.
        all_of_them: images to train on too; else these are decoded in every epoch.
        workers: processes that decode here; 0 for threads of this one.
        in_trials: processes of each trial that decode, in every epoch.

    Raises:
        DataFileError: some cannot be decoded; names the first 20.
    """
    found, by_pillow = {}, 0
    for name in ("training", "validation", "test"):
        images = getattr(splits, name)
        is_kept = (
            all_of_them if name == "training" else name != "test" or fits(len(images), images.side)
        )
        if not is_kept:
            found[name] = images.decoded_by(in_trials)
            continue
        found[name], slow = images.decoded_by(workers).in_memory()
        by_pillow += slow
    return replace(splits, **found), by_pillow
