"""Work that is done again and again on one device: one operation after the other, or replayed."""

import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator

from gon_core.training import cuda_graphs

TRIES = 3
"""How often each work is done one operation after the other. Then libraries have what they need and
momentum has its place in memory; these are steps like all others."""

log = logging.getLogger(__name__)


@runtime_checkable
class Recorder(Protocol):
    """Makes of work on a device something that is launched as a whole."""

    def try_out(self, work: Callable[[], None]) -> bool:
        """Do the work; return whether it can be recorded: the host read nothing from the device."""
        ...

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return a function that does the work again; recording itself changes nothing.

        It does what the work did when it was recorded: with the tensors and the random streams that
        the work used, as they are by then, and with the same numbers.
        """
        ...


@dataclass
class _Recording:
    """A work of one form, and how it is replayed once it was recorded.

    Attributes:
        tries: without a wait of the host, since the last with one.
        waits: tries with one.
        replay: does the work; None while it is tried out.
        is_seen: by hooks of a model, whenever ``replay`` is called.
    """

    tries: int = 0
    waits: int = 0
    replay: Callable[[], None] | None = None
    is_seen: bool = True


class Recordings:
    """Tries each work out, records it, and replays it from then on.

    Args:
        recorder: records works on their device; None to do each work as it is.
        passed: called after each work that was replayed, as hooks of a model see none of these; but
            not after the first of each, which they saw when it was recorded.
    """

    def __init__(
        self, recorder: Recorder | None, passed: Callable[[], None] = lambda: None
    ) -> None:
        self._recorder, self._passed = recorder, passed
        self._recordings: dict[Hashable, _Recording] = {}

    @property
    def records(self) -> bool:
        """Whether works are recorded, so that those of few forms are the faster ones."""
        return self._recorder is not None

    def run(self, name: str, work: Callable[[], None], form: Hashable = None) -> None:
        """Do a work: try it out, record it, or replay it.

        Args:
            name: what warnings call it.
            work: reads and writes only tensors that stay where they are in memory, and random
                streams on the device. Works of one name and form differ in nothing else.
            form: what else decides which operations it takes.
        """
        if self._recorder is None:
            work()
            return
        recording = self._recordings.setdefault((name, form), _Recording())
        if recording.replay is not None:
            recording.replay()
            if not recording.is_seen:
                self._passed()
        elif recording.tries >= TRIES:
            recording.replay = self._recorded(self._recorder, name, work)
            recording.replay()
            recording.is_seen = recording.replay is work
        elif self._recorder.try_out(work):
            recording.tries += 1
        else:  # a compiler may have waited in the first one, and will in no other
            recording.tries, recording.waits = 0, recording.waits + 1
            if recording.waits >= TRIES:
                log.warning("no graph of each %s: the host waits for the device in it", name)
                recording.replay = work

    def _recorded(
        self, recorder: Recorder, name: str, work: Callable[[], None]
    ) -> Callable[[], None]:
        try:
            return recorder.record(work)
        except RuntimeError as error:  # memory for instance, of which a graph has its own
            reason = str(error).strip().partition("\n")[0]
            log.warning("no graph of each %s: %s", name, reason)
            return work


MakeRecordings = Callable[[torch.device, Iterable[Generator]], Recordings]
"""A device, and the random streams that works draw from -> what does works on that device."""


def on_device(
    device: torch.device,
    streams: Iterable[Generator],
    passed: Callable[[], None] = lambda: None,
) -> Recordings:
    """Return what makes graphs on a GPU, and does one operation after the other elsewhere.

    Args:
        device: where the work is.
        streams: the random streams that it may draw from.
        passed: see ``Recordings``.
    """
    is_gpu = device.type == "cuda"
    return Recordings(cuda_graphs.Recorder(device, streams) if is_gpu else None, passed)
