"""How busy a trial keeps its machine: samples for MLflow, taken while it runs (--system-metrics).

The names are those of ``mlflow.system_metrics``, which itself samples the process that logs: here
the driver, not the trials. ``trial_...`` is ours: several trials share a machine.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

import psutil
import torch

SECONDS = 10.0  # between two samples, as in MLflow


class Sample(NamedTuple):
    """Figures at one time, by name; the time in ms since 1970.

    Of GPUs they are at that time, of the CPU since the sample before. 100 % are all cores of the
    machine, but for ``trial_cpu_utilization_percentage`` one core.
    """

    time: int
    figures: dict[str, float]


class Samples(Protocol):
    """Returns the samples that were taken since it was last called."""

    def __call__(self) -> list[Sample]: ...


@contextmanager
def sampled(is_asked: bool = True, every: float = SECONDS) -> Iterator[Samples]:
    """Take samples in a thread while the block runs, and one at its end.

    Args:
        is_asked: False for none.
        every: seconds between two samples.
    """
    if not is_asked:
        yield list[Sample]
        return
    found: list[Sample] = []
    is_over = threading.Event()

    def take() -> list[Sample]:
        count = len(found)  # the thread may append meanwhile
        taken, found[:count] = found[:count], []
        return taken

    def work() -> None:
        load, is_last = _Load(), False
        while not is_last:
            is_last = is_over.wait(every)
            found.append(load.sample())

    thread = threading.Thread(target=work, name="machine load", daemon=True)
    thread.start()
    try:
        yield take
    finally:
        is_over.set()
        thread.join()


class _Load:
    def __init__(self) -> None:
        self._trial = psutil.Process()
        self._at, self._cpu_seconds = time.monotonic(), self._of_trial()[0]
        psutil.cpu_percent()  # of the time since the call before, in this thread

    def sample(self) -> Sample:
        memory, before = psutil.virtual_memory(), (self._at, self._cpu_seconds)
        self._cpu_seconds, trial_bytes = self._of_trial()
        self._at = time.monotonic()
        # A process that ended takes its seconds with it.
        seconds = max(0.0, self._cpu_seconds - before[1])
        figures = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": 100 * memory.used / memory.total,
            "trial_cpu_utilization_percentage": 100 * seconds / (self._at - before[0]),
            "trial_memory_usage_megabytes": trial_bytes / 1e6,
            **_of_gpus(),
        }
        rounded = {name: round(value, 1) for name, value in figures.items()}
        return Sample(time.time_ns() // 10**6, rounded)

    def _of_trial(self) -> tuple[float, int]:
        """Return the CPU seconds and the bytes of the trial's process and of those it started."""
        seconds, used = 0.0, 0
        for process in (self._trial, *self._trial.children(recursive=True)):
            with suppress(psutil.Error):  # it has just ended
                times = process.cpu_times()
                seconds += times.user + times.system
                used += process.memory_info().rss
        return seconds, used


def _of_gpus() -> dict[str, float]:
    """Return what NVML says of the GPUs that the trial sees; nothing where it trains on none."""
    if not torch.cuda.is_initialized():
        return {}
    from pynvml import NVMLError

    figures = {}
    for index in range(torch.cuda.device_count()):
        with suppress(NVMLError, RuntimeError, ValueError):  # a part of a GPU (MIG) lacks some
            used = torch.cuda.device_memory_used(index)
            total = torch.cuda.get_device_properties(index).total_memory
            figures[f"gpu_{index}_memory_usage_megabytes"] = used / 1e6
            figures[f"gpu_{index}_memory_usage_percentage"] = 100 * used / total
            figures[f"gpu_{index}_utilization_percentage"] = torch.cuda.utilization(index)
            figures[f"gpu_{index}_power_usage_watts"] = torch.cuda.power_draw(index) / 1000
    return figures
