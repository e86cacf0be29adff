"""CUDA graphs: work on a GPU that is captured once, and then launched as a whole."""

import gc
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator

# In torch's warnings: of what the host waits for, and that it might not notice everything.
SYNCHRONISES, MODE = "called a synchronizing CUDA operation", "Synchronization debug mode"
MOST_AHEAD = 8
"""Graphs that the host launches before the GPU has ended the first of them. More would not make it
faster: but a stop would have to wait for them, for minutes where a step takes a second."""

ONE_AT_A_TIME = threading.RLock()
"""Held by a thread while it works with what is of the whole process: debug modes, the collector,
torch's own random numbers."""

_IDLE: dict[int, list[torch.cuda.Stream]] = {}  # by GPU: those whose owners are gone


def own_stream(owner: object, device: torch.device) -> torch.cuda.Stream:
    """Return a stream of a GPU that no other living owner has.

    torch hands out 32 in turn, and the 33rd is the first again. What one trial launches on a stream
    while another captures on it would become a part of that graph, and graphs of one stream share
    what cuBLAS works in.

    Args:
        owner: whose it is; when nothing refers to it any more, the stream goes to the next.
        device: the GPU.
    """
    index = torch.cuda.current_device() if device.index is None else device.index
    idle = _IDLE.setdefault(index, [])
    try:
        stream = idle.pop()
    except IndexError:
        stream = torch.cuda.Stream(device)
    weakref.finalize(owner, idle.append, stream)
    return stream


class Recorder:
    """Captures work on one GPU; see ``recordings.Recorder``.

    All graphs share their memory: they run one after the other, and nothing that the next one needs
    is in it.

    Args:
        device: the GPU.
        streams: the random streams that work may draw from; those on the CPU do not matter.
    """

    def __init__(self, device: torch.device, streams: Iterable[Generator]) -> None:
        self._streams = [stream for stream in streams if stream.device.type == "cuda"]
        self._stream = own_stream(self, device)
        self._memory = torch.cuda.graph_pool_handle()
        # Also those of captures that failed: some versions of torch (its issue 193402, not
        # tried here) free what cuBLAS works in of all graphs of a stream as soon as one is gone.
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._ahead: deque[torch.cuda.Event] = deque()

    def try_out(self, work: Callable[[], None]) -> bool:
        """Do the work beside the current stream of kernels, as a capture wants it.

        Returns:
            whether the host did not wait for the GPU: it cannot while it captures.
        """
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with ONE_AT_A_TIME, _waits() as found, torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)
        return not found

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the work, which computes nothing; return what launches it."""
        graph = torch.cuda.CUDAGraph()
        self._graphs.append(graph)
        for stream in self._streams:
            graph.register_generator_state(stream)
        with ONE_AT_A_TIME:
            collects = gc.isenabled()
            gc.disable()  # of a graph, perhaps, which is not destroyed while another is captured
            try:
                # Other threads may do meanwhile what this one must not while it captures.
                with torch.cuda.graph(graph, self._memory, self._stream, "thread_local"):
                    work()
            finally:
                if collects:
                    gc.enable()

        def replay() -> None:
            graph.replay()
            ended = torch.cuda.Event(blocking=True)
            ended.record()
            self._ahead.append(ended)
            if len(self._ahead) > MOST_AHEAD:
                self._ahead.popleft().synchronize()

        return replay


@contextmanager
def _waits() -> Iterator[list[str]]:
    """Yield a list that gets a text for each time at which this thread waits for the GPU."""
    found: list[str] = []
    thread, mode = threading.get_ident(), torch.cuda.get_sync_debug_mode()
    show = warnings.showwarning

    def note(message: Warning | str, *place: Any, **more: Any) -> None:
        text = str(message)
        if SYNCHRONISES in text and threading.get_ident() == thread:
            found.append(text)
        elif not any(each in text for each in (SYNCHRONISES, MODE)):  # those of other threads
            show(message, *place, **more)

    with warnings.catch_warnings():
        for text in (SYNCHRONISES, MODE):
            warnings.filterwarnings("always", f".*{text}")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(mode)
