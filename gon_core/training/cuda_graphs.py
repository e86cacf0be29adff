"""CUDA graphs: work on a GPU that is captured once, and then launched as a whole."""

import gc
import warnings
from collections import deque
from collections.abc import Callable, Iterable

import torch
from torch import Generator

# In torch's warnings: of what the host waits for, and that it might not notice everything.
SYNCHRONISES, MODE = "called a synchronizing CUDA operation", "Synchronization debug mode"
MOST_AHEAD = 8
"""Graphs that the host launches before the GPU has ended the first of them. More would not make it
faster: but a stop would have to wait for them, for minutes where a step takes a second."""


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
        self._stream = torch.cuda.Stream(device)
        self._memory = torch.cuda.graph_pool_handle()
        self._ahead: deque[torch.cuda.Event] = deque()

    def try_out(self, work: Callable[[], None]) -> bool:
        """Do the work beside the current stream of kernels, as a capture wants it.

        Returns:
            whether the host did not wait for the GPU: it cannot while it captures.
        """
        current, mode = torch.cuda.current_stream(), torch.cuda.get_sync_debug_mode()
        self._stream.wait_stream(current)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                with torch.cuda.stream(self._stream):
                    work()
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        current.wait_stream(self._stream)
        for each in caught:
            if not any(text in str(each.message) for text in (SYNCHRONISES, MODE)):
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return not any(SYNCHRONISES in str(each.message) for each in caught)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the work, which computes nothing; return what launches it."""
        graph = torch.cuda.CUDAGraph()
        for stream in self._streams:
            graph.register_generator_state(stream)
        collects = gc.isenabled()
        gc.disable()  # of a graph, perhaps, which is not destroyed while another is captured
        try:
            with torch.cuda.graph(graph, pool=self._memory, stream=self._stream):
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
