"""Images in files, decoded when they are wanted, by worker processes or once into memory."""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.data.corruption_folders import refuse
from gon_core.data.decoders import Decoded, Decoder, Processes, Wanted
from gon_core.data.decoding import Encoded, Noted, shorter_side
from gon_core.data.listing import Listing
from gon_core.data.splits import LabelledImages, Splits

PREFETCHED = 4  # batches of each worker process
RESTARTS = 3  # of worker processes that died, in one pass through the images
OFTEN = "processes that decode images die again and again: is there too little memory, or /dev/shm?"
HEADS = 8  # files that are looked at together
MOST_KEPT = 2**31  # bytes of decoded images to test on
CHUNK = 64  # images that are decoded into memory at a time

log = logging.getLogger(__name__)
_STARTING = threading.Lock()  # of processes


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
        self._processes: Processes | None = None

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
        """Return the same images, whose batches are put on ``device``.

        Themselves where that is so: the processes that decode stay from one training to the next.
        """
        return self if torch.device(device) == self.device else self._changed(device=device)

    def decoded_by(self, workers: int) -> "FolderImages":
        """Return the same images, decoded by so many processes."""
        return self._changed(workers=workers)

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return the centres of some of the images, decoded in this process."""
        return self._decoded(index)

    def _decoded(
        self, index: slice | Tensor, seed: int | None = None
    ) -> UInt8[Tensor, "batch channel height width"]:
        wanted = [(number, seed) for number in self._numbers(index)]
        found = self._decoder.batch(wanted, max(1, self.workers))
        refuse(found.faults)
        return found.images.to(self.device)

    def batches(
        self, indices: Sequence[Tensor], seed: int | None = None, rows: slice | None = None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``; the next ones are decoded meanwhile.

        Of each batch only ``rows`` are decoded, where they are given; the others are black.

        Several passes can go on at once, as where a noise generator trains alone on other batches
        than those of the epoch: the processes serve all of them.

        Raises:
            DataFileError: some of a batch cannot be decoded; names them.
            RuntimeError: processes that decode die again and again.
        """
        if rows is not None:
            own = self.batches([index[rows] for index in indices], seed)
            for index, images in zip(indices, own, strict=True):
                whole = images.new_zeros(len(index), *images.shape[1:])
                whole[rows] = images
                yield whole
            return
        if not self.workers:
            yield from (self._decoded(index, seed) for index in indices)
            return
        if not indices:
            return
        # On a GPU each transfer would wait for all of its work: one for all batches.
        numbers = torch.cat([*indices]).cpu().split([len(index) for index in indices])
        for found in self._decoded_ahead(numbers, seed):
            refuse(found.faults)
            yield _copied(found.images, self.device)

    def _decoded_ahead(
        self, indices: Sequence[Tensor], seed: int | None = None
    ) -> Iterator[Decoded]:
        begun, depth = deque[Future[Decoded]](), PREFETCHED * self.workers
        processes, restarts = None, 0
        try:
            for done in range(len(indices)):
                while True:
                    try:
                        processes = processes or self._running()
                        for index in indices[done + len(begun) : done + depth]:
                            begun.append(processes.batch(_wanted(index, seed)))
                        found = begun[0].result()
                        break
                    except BrokenProcessPool as error:
                        if restarts == RESTARTS:
                            raise RuntimeError(OFTEN) from error
                        if self._processes is processes:  # else another pass has noticed before
                            log.warning("a process that decodes images died; new ones go on")
                            self._processes = None
                        processes, restarts = None, restarts + 1
                        begun.clear()
                begun.popleft()
                yield found
        finally:
            for each in begun:
                each.cancel()

    def _running(self) -> Processes:
        with _STARTING:  # several trainings of one process may ask at once
            self._processes = self._processes or Processes(self._decoder, self.workers)
            return self._processes

    def in_memory(self) -> tuple[LabelledImages, Noted]:
        """Return the same images decoded, and what is to say of them.

        Raises:
            DataFileError: some cannot be decoded; names the first 20.
        """
        images = torch.empty(len(self), 3, self.side, self.side, dtype=torch.uint8)
        noted, faults = Noted(), []
        parts = torch.arange(len(self)).split(CHUNK)
        decoded = (
            self._decoded_ahead(parts)
            if self.workers
            else (self._decoder.batch(_wanted(part)) for part in parts)
        )
        for part, found in zip(parts, decoded, strict=True):
            images[part] = found.images
            noted = noted.plus(found.noted)
            faults += found.faults
        self._processes = None  # they end
        refuse(faults)
        return LabelledImages(images, self.labels.cpu()), noted

    def enlarged(self) -> int:
        """Return how many are smaller than ``side``, by their shorter side."""

        def is_small(number: int) -> bool:
            return 0 < shorter_side(self.source.read(number)) < self.side

        with ThreadPoolExecutor(HEADS) as pool:
            return sum(pool.map(is_small, range(len(self))))

    @property
    def _decoder(self) -> Decoder:
        return Decoder(self.source, self.side, self.least_area)

    def _numbers(self, index: slice | Tensor) -> list[int]:
        return torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index].tolist()

    def _changed(self, **changes: Any) -> "FolderImages":
        now: dict[str, Any] = {
            "source": self.source, "labels": self.labels, "side": self.side,
            "workers": self.workers, "device": self.labels.device, "least_area": self.least_area,
        }  # fmt: skip
        return FolderImages(**(now | changes))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_processes": None}  # its processes stay here


def _wanted(index: Tensor, seed: int | None = None) -> list[Wanted]:
    return [(number, seed) for number in index.tolist()]


def _copied(images: Tensor, device: torch.device) -> Tensor:
    """Return images on a device; a GPU copies them from pinned memory while the host goes on."""
    if device.type == "cuda":
        images = images.pin_memory()
    return images.to(device, non_blocking=True)


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


def keep(
    splits: Splits, all_of_them: bool, workers: int, in_trials: int = 0
) -> tuple[Splits, Noted]:
    """Return splits whose images are decoded in memory, and what is to say of these images.

    Args:
        splits: of a folder. Test images that would take more than 2 GiB are decoded whenever they
            are wanted.
        all_of_them: images to train on too; else these are decoded in every epoch.
        workers: processes that decode here; 0 for this one.
        in_trials: processes of each trial that decode, in every epoch.

    Raises:
        DataFileError: some cannot be decoded; names the first 20.
    """
    found, noted = {}, Noted()
    for name in ("training", "validation", "test"):
        images = getattr(splits, name)
        is_kept = (
            all_of_them if name == "training" else name != "test" or fits(len(images), images.side)
        )
        if not is_kept:
            found[name] = images.decoded_by(in_trials)
            continue
        found[name], more = images.decoded_by(workers).in_memory()
        noted = noted.plus(more)
    return replace(splits, **found), noted
