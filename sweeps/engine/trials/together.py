"""Several trials at once in one process: each in a thread, and on a GPU on a stream of its own.

Where steps are graphs the host has little to do, and one process keeps a GPU busy with several
small trainings. Nothing that a trial computes depends on the others: its tensors, random streams
and graphs are its own.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from typing import Any

import torch

from gon_core.training import StoppedError
from gon_core.training.cuda_graphs import own_stream
from sweeps.engine.records import TrialResult

Run = Callable[..., TrialResult]
"""``run_trial`` with all arguments but ``report``, ``show`` and ``stop``."""


class PrunedError(BaseException):
    """Raised where a trial reports an epoch, to end it without a record."""


def run_together(
    runs: Mapping[str, Run],
    device: str,
    stop: Callable[[], bool],
    reported: Callable[[str, dict[str, float], str], None],
    ended: Callable[[str, TrialResult | BaseException], None],
) -> None:
    """Run trials at once; return when all have ended, also if one of the calls below raises.

    Args:
        runs: runs each trial, by its name.
        device: ``cuda`` or ``cpu``.
        stop: asked by each of them: whether to end for now.
        reported: called in this thread with a trial's name, the metrics of its last epoch, and how
            far its evaluation is in words, empty for an epoch; meanwhile the trial waits. What it
            raises to end this trial is a ``PrunedError``.
        ended: called in this thread with its name, and its result or what was raised instead.
    """
    said: SimpleQueue[tuple[Callable[[], None], SimpleQueue[BaseException | None] | None]]
    said, is_over = SimpleQueue(), threading.Event()

    def work(name: str, run: Run) -> None:
        answers: SimpleQueue[BaseException | None] = SimpleQueue()

        def report(metrics: dict[str, float], words: str = "") -> None:
            said.put((lambda: reported(name, metrics, words), answers))
            if (error := answers.get()) is not None:
                raise error

        try:
            with _own_stream(device):
                end = run(report=report, show=report, stop=lambda: is_over.is_set() or stop())
        except BaseException as error:  # whoever asked for the trials decides what it means
            end = error
        said.put((lambda: ended(name, end), None))

    if device == "cuda":  # what they share must be there before they read it on other streams
        torch.cuda.synchronize()
    threads = [threading.Thread(target=work, args=item, name=item[0]) for item in runs.items()]
    running, error = len(threads), None
    for thread in threads:
        thread.start()
    while running:
        call, answers = said.get()
        answer: BaseException | None = None
        try:
            if not is_over.is_set():
                call()
        except PrunedError as pruned:
            answer = pruned
        except BaseException as raised:  # nobody listens any more: all of them are to end
            error = raised
            is_over.set()
        if answers is None:
            running -= 1
        else:
            answers.put(StoppedError() if is_over.is_set() else answer)
    for thread in threads:
        thread.join()
    if error is not None:
        raise error


def _own_stream(device: str) -> AbstractContextManager[Any]:
    if device != "cuda":
        return nullcontext()
    return torch.cuda.stream(own_stream(threading.current_thread(), torch.device(device)))
