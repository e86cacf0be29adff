"""The tracker of MLflow: it is notified of trials, and a thread passes everything on."""

import contextlib
import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping

from gon_core.config import TrialConfig
from sweeps.engine.records import SweepDescription, SweepRecords, TrialResult
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.environment import settle_environment
from sweeps.engine.tracking.mlflow.outbox import Outbox, milliseconds
from sweeps.engine.tracking.mlflow.points import Epoch
from sweeps.engine.tracking.mlflow.tracked import is_tracked, write_tracked
from sweeps.engine.tracking.protocol import Artifacts

DRAIN_SECONDS = 60  # how long the end of a sweep waits for MLflow before leaving it to a replay
NOTE_SECONDS = 5  # and then for a note that spares the next process some seconds
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0  # between attempts to reach a server


class MLflowTracker:
    """Passes everything on to MLflow, without ever keeping trials waiting.

    MLflow is imported and opened with the first event, or by ``close``.

    Args:
        uri: tracking URI.
        description: what ``sweep.json`` says.
        records: of the sweep.
        say: called once, with one line, if MLflow cannot be reached; from the thread.
    """

    def __init__(
        self,
        uri: str,
        description: SweepDescription,
        records: SweepRecords,
        say: Callable[[str], None] | None = None,
        artifacts: Artifacts | None = None,
    ) -> None:
        settle_environment()
        self._uri = uri
        self._records = records
        self._outbox = Outbox(uri, description, records, say, artifacts)
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ending: tuple[dict[str, float], bool, bool] = ({}, False, False)
        self._thread: threading.Thread | None = None
        self._is_told = False
        self._is_over = threading.Event()

    def started(self, config: TrialConfig) -> None:
        """Listen: make the trial's run."""
        self._put(lambda: self._outbox.begin(config))

    def reported(self, config: TrialConfig, metrics: Mapping[str, float]) -> None:
        """Listen: log the epoch."""
        epoch = Epoch(metrics, milliseconds())
        self._put(lambda: self._outbox.report(config, epoch))

    def ended(self, result: TrialResult) -> None:
        """Listen: log the final metrics and end the run."""
        self._put(lambda: self._outbox.end(result.config))

    @property
    def waiting(self) -> int:
        """How many events were not sent yet, about; 0 only if there is none."""
        return self._events.qsize() + (not self._outbox.is_empty)

    def close(self, summary: dict[str, float], failed: bool, interrupted: bool) -> str:
        """Send what MLflow has missed, end all runs, and wait for it, but not for ever.

        Args:
            summary: the metrics of the whole sweep.
            failed: whether some trial failed.
            interrupted: whether there is more to run.

        Returns:
            "" if MLflow holds everything, else why not, with the command that makes up for it.
        """
        if self._thread is None and is_tracked(self._records, self._uri):
            return ""
        self._ending = summary, failed, interrupted
        self._put(None)
        assert self._thread is not None
        if not self._is_over.wait(DRAIN_SECONDS):
            return self._missing(self._outbox.problem or f"it took more than {DRAIN_SECONDS} s")
        self._thread.join(NOTE_SECONDS)
        return "" if self._is_told else self._missing(self._outbox.problem or "its thread broke")

    def _put(self, event: Callable[[], None] | None) -> None:
        self._events.put(event)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            self._send()
            self._is_told = self._outbox.end_sweep(*self._ending)
        finally:
            self._is_over.set()
        _, _, interrupted = self._ending
        if self._is_told and not interrupted:  # reads every result, which takes its time on S3
            write_tracked(self._records, self._uri)

    def _send(self) -> None:
        pause, not_before = FIRST_PAUSE_SECONDS, 0.0
        while self._gather(not_before):
            if self._outbox.send():
                pause, not_before = FIRST_PAUSE_SECONDS, 0.0
            else:
                not_before = time.monotonic() + pause
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _gather(self, not_before: float) -> bool:
        """Take in what happened; return when it is time to send it, with False at the end."""
        while True:
            left = max(0.0, not_before - time.monotonic())
            try:
                event = self._events.get(timeout=None if self._outbox.is_empty else left)
            except queue.Empty:
                return True
            if event is None:
                return False
            event()

    def _missing(self, reason: str) -> str:
        words = [redact(self._records.folder.uri)]
        recorded = None
        with contextlib.suppress(OSError, ValueError, StorageError):
            recorded = self._records.read_sweep()

        # A password is not recorded: replay asks for the whole URI.
        if (
            redact(self._uri) != self._uri
            or recorded is None
            or (self._uri != recorded.tracking_uri)
        ):
            words.append(redact(self._uri))
        return (
            f"MLflow misses a part ({reason}); nothing is lost, send it with:\n"
            f"  uv run python -m sweeps.engine.tracking replay {shlex.join(words)}"
        )
