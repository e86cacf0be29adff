"""The tracker of MLflow: it is notified of trials, and a thread passes everything on."""

import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gon_core.config import TrialConfig
from sweeps.engine.records import SweepDescription, SweepRecords, TrialResult
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.environment import settle_environment
from sweeps.engine.tracking.mlflow.outbox import Outbox, milliseconds
from sweeps.engine.tracking.mlflow.points import Epoch
from sweeps.engine.tracking.mlflow.tracked import tracked_link, write_tracked
from sweeps.engine.tracking.protocol import Artifacts

if TYPE_CHECKING:  # it loads torch
    from sweeps.engine.trials.machine_load import Sample

DRAIN_SECONDS: int = 60  # how long a sweep's end waits for MLflow before leaving it to a replay
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0  # between attempts to reach a server


class MLflowTracker:
    """Passes everything on to MLflow; see ``Tracker``, and ``Outbox`` for the arguments.

    MLflow is imported and opened with the first event, or by ``close``; ``say`` is called from a
    thread.
    """

    def __init__(
        self,
        uri: str,
        description: SweepDescription,
        records: SweepRecords,
        say: Callable[[str], None] | None = None,
        artifacts: Artifacts | None = None,
        logs_models: bool = False,
    ) -> None:
        settle_environment()
        self._uri, self._records, self._logs_models = uri, records, logs_models
        self._outbox = Outbox(uri, description, records, say, artifacts, logs_models)
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ending: tuple[dict[str, str], bool, bool] = ({}, False, False)
        self._thread: threading.Thread | None = None
        self._is_sent = False

    def started(self, config: TrialConfig) -> None:
        """Make the trial's run."""
        self._put(lambda: self._outbox.begin(config))

    def reported(self, config: TrialConfig, metrics: Mapping[str, float]) -> None:
        """Log the epoch."""
        epoch = Epoch(metrics, milliseconds())
        self._put(lambda: self._outbox.report(config, epoch))

    def sampled(self, config: TrialConfig, samples: Sequence["Sample"]) -> None:
        """Log the samples."""
        self._put(lambda: self._outbox.sample(config, samples))

    def ended(self, result: TrialResult) -> None:
        """Log the final metrics and end the run."""
        self._put(lambda: self._outbox.end(result.config))

    @property
    def waiting(self) -> int:
        """About how many events were not sent yet; 0 only if there is none."""
        return self._events.qsize() + (not self._outbox.is_empty)

    @property
    def link(self) -> str:
        """To the comparison of the sweep's runs in the UI; see ``Tracker.link``."""
        return self._outbox.link

    def close(self, summary: dict[str, str], failed: bool, interrupted: bool) -> str:
        """Send what MLflow has missed and end all runs; see ``Tracker.close``."""
        if self._thread is None:
            link = tracked_link(self._records, self._uri, self._logs_models)
            if link is not None:
                self._outbox.link = link
                return ""
        self._ending = summary, failed, interrupted
        thread = self._put(None)
        thread.join(DRAIN_SECONDS)
        if self._is_sent:
            return ""
        late = f"it took more than {DRAIN_SECONDS} s" if thread.is_alive() else "its thread broke"
        reason = self._outbox.problem or late
        flag = ["--log-models"] * self._logs_models
        words = shlex.join([redact(self._records.folder.uri), redact(self._uri), *flag])
        return (
            f"MLflow misses a part ({reason}); nothing is lost, send it with:\n"
            f"  uv run python -m sweeps.engine.tracking replay {words}"
        )

    def _put(self, event: Callable[[], None] | None) -> threading.Thread:
        self._events.put(event)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
            self._thread.start()
        return self._thread

    def _work(self) -> None:
        pause, not_before = FIRST_PAUSE_SECONDS, 0.0
        while self._gather(not_before):
            if self._outbox.send():
                pause, not_before = FIRST_PAUSE_SECONDS, 0.0
            else:
                not_before = time.monotonic() + pause
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        _, _, interrupted = self._ending
        self._is_sent = self._outbox.end_sweep(*self._ending)
        if self._is_sent and not interrupted:
            write_tracked(self._records, self._uri, self._outbox.link, self._logs_models)

    def _gather(self, not_before: float) -> bool:
        """Pass events to the outbox until it is time to send them; return False at the end."""
        while True:
            left = max(0.0, not_before - time.monotonic())
            try:
                event = self._events.get(timeout=None if self._outbox.is_empty else left)
            except queue.Empty:
                return True
            if event is None:
                return False
            event()
