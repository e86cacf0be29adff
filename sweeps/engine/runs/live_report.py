"""The report of a sweep that still runs, rewritten now and then beside the trials."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from gon_core.config import TrialConfig
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.system.errors import StorageError

SECONDS = 60.0  # between two reports, at least
SHARE = 0.1  # of the time, at most, that is spent on reports: those of many trials take long


def _write(records: SweepRecords) -> None:
    from sweeps.engine.report import write_report  # slow: matplotlib

    write_report(records)


class LiveReport:
    """Writes the report after trials that ended: a listener, with a thread of its own.

    As a context: when the block is left, no report is being written any more. A report that cannot
    be written is left to the end of the sweep, which says why.

    Args:
        records: of the sweep.
        write: writes its report.
        pause: seconds between two reports.
    """

    def __init__(
        self,
        records: SweepRecords,
        write: Callable[[SweepRecords], None] = _write,
        pause: float = SECONDS,
    ) -> None:
        self._records, self._write, self._pause = records, write, pause
        self._news, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="live report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._over.set()
        self._news.set()
        self._thread.join()

    def started(self, config: TrialConfig) -> None:
        """Nothing new is measured."""

    def reported(self, config: TrialConfig, metrics: Mapping[str, float]) -> None:
        """Nothing that the report shows before the trial's end."""

    def ended(self, result: TrialResult) -> None:
        """Have the report written, as soon as it is due."""
        self._news.set()

    def _work(self) -> None:
        wait = self._pause
        while not self._over.wait(wait):
            self._news.wait()
            if self._over.is_set():
                return
            self._news.clear()
            began = time.monotonic()
            with contextlib.suppress(OSError, ValueError, StorageError):
                self._write(self._records)
            wait = max(self._pause, (time.monotonic() - began) / SHARE)
