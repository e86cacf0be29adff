"""Processes that decode images, batch by batch, for everybody who has asked for one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from gon_core.data.decoding import Encoded, Noted, decode, decode_cropped
from gon_core.data.files import DataFileError

Wanted = tuple[int, int | None]
"""The number of an image, and the seed of its random crop; None for its centre."""


class Decoded(NamedTuple):
    """A batch of images.

    Attributes:
        images: levels 0..255; one that cannot be decoded is not set.
        noted: what is to say of the others.
        faults: why some cannot be decoded; a line for each.
    """

    images: UInt8[Tensor, "batch 3 side side"]
    noted: Noted
    faults: list[str]


@dataclass(frozen=True)
class Decoder:
    """Decodes images by their number.

    Attributes:
        source: where they are.
        side: height and width that each is brought to.
        least_area: of an image that a random crop shows; None to always show its centre.
    """

    source: Encoded
    side: int
    least_area: float | None

    def batch(self, wanted: Sequence[Wanted], threads: int = 1) -> Decoded:
        """Return some of the images, decoded by so many threads of this process."""
        images = torch.empty(len(wanted), 3, self.side, self.side, dtype=torch.uint8)

        def one(row: int) -> Noted | str:
            try:
                images[row], noted = self._decoded(*wanted[row])
            except DataFileError as error:
                return str(error)
            return noted

        if threads == 1:
            said = [*map(one, range(len(wanted)))]
        else:
            with ThreadPoolExecutor(threads) as pool:
                said = [*pool.map(one, range(len(wanted)))]
        faults = [each for each in said if isinstance(each, str)]
        noted = [each for each in said if isinstance(each, Noted)]
        return Decoded(images, reduce(Noted.plus, noted, Noted()), faults)

    def _decoded(self, number: int, seed: int | None) -> tuple[Tensor, Noted]:
        content, name = self.source.read(number), self.source.name(number)
        if seed is None or self.least_area is None:
            return decode(content, name, self.side)
        return decode_cropped(content, name, self.side, self.least_area, seed, number)


class Processes:
    """Processes that decode. A batch comes back as one tensor, in shared memory.

    They take batches in the order in which these are wanted, for several passes at once, and end
    with the process that they decode for, however that ends.

    Args:
        decoder: what each of them does.
        count: how many.
    """

    def __init__(self, decoder: Decoder, count: int) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pool = ProcessPoolExecutor(count, context, _begin, (decoder,))

    def batch(self, wanted: Sequence[Wanted]) -> "Future[Decoded]":
        """Begin to decode a batch.

        Raises:
            BrokenProcessPool: one of the processes died; the batch may raise it as well.
        """
        return self._pool.submit(_batch, wanted)

    @property
    def ids(self) -> list[int]:
        """Those of the processes."""
        return list(self._pool._processes)


_decoder: Decoder | None = None  # of a process that decodes


def _begin(decoder: Decoder) -> None:
    global _decoder
    _decoder = decoder
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what Ctrl-C means is decided by the other
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with the one that it decodes for: nobody else will take its images."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by another process"
    parent.join()
    os._exit(1)


def _batch(wanted: Sequence[Wanted]) -> Decoded:
    assert _decoder is not None, "the process has begun"
    return _decoder.batch(wanted)
