"""Several trials at once in one process: each in a thread, and on a GPU on a stream of its own.

Where steps are graphs the host has little to do, and one process keeps a GPU busy with several
small trainings. Nothing that a trial computes depends on the others: its tensors, random streams
and graphs are its own.
"""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import torch

from sweeps.engine.records import TrialResult


@dataclass(frozen=True)
class Reported:
    """What a trial reports: an epoch, or how far its evaluation is.

    Attributes:
        name: of the trial.
        metrics: of its last epoch.
        words: how far the evaluation is; empty for an epoch.
    """

    name: str
    metrics: dict[str, float]
    words: str = ""


@dataclass(frozen=True)
class Ended:
    """The end of a trial: its result, or what was raised instead."""

    name: str
    result: TrialResult | BaseException


Run = Callable[..., TrialResult]
"""``run_trial`` with all arguments but ``report``, ``show`` and ``stop``."""


def run_together(
    runs: Mapping[str, Run], device: str, stop: Callable[[], bool]
) -> Generator[Reported | Ended, None, None]:
    """Run trials at once, by their names; yield what they report, and the end of each.

    All of them are stopped, and have ended, when the generator is closed.

    Args:
        runs: runs each trial.
        device: ``cuda`` or ``cpu``.
        stop: asked by each of them: whether to end for now.
    """
    said: SimpleQueue[Reported | Ended] = SimpleQueue()
    is_closed = threading.Event()

    def work(name: str, run: Run) -> None:
        def report(metrics: dict[str, float], words: str = "") -> None:
            said.put(Reported(name, metrics, words))

        try:
            with _own_stream(device):
                result = run(report=report, show=report, stop=lambda: is_closed.is_set() or stop())
            said.put(Ended(name, result))
        except BaseException as error:  # whoever asked for the trials decides what it means
            said.put(Ended(name, error))

    if device == "cuda":  # what they share must be there before they read it on other streams
        torch.cuda.synchronize()
    threads = [threading.Thread(target=partial(work, *item), name=item[0]) for item in runs.items()]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            event = said.get()
            running -= isinstance(event, Ended)
            yield event
    finally:
        is_closed.set()
        for thread in threads:
            thread.join()


def _own_stream(device: str) -> AbstractContextManager[Any]:
    return torch.cuda.stream(torch.cuda.Stream()) if device == "cuda" else nullcontext()
