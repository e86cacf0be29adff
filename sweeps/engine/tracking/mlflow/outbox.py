"""What was not sent to MLflow yet, and the order in which it is.

Updates are kept until MLflow has accepted them.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gon_core.config import TrialConfig
from sweeps.engine.records import SweepDescription, SweepRecords, TrialRecords
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.points import Epoch, dated, of_result
from sweeps.engine.tracking.mlflow.store import Store
from sweeps.engine.tracking.mlflow.tracked import forget_tracked
from sweeps.engine.tracking.mlflow.uris import explain
from sweeps.engine.tracking.protocol import Artifacts

if TYPE_CHECKING:  # it loads torch
    from sweeps.engine.trials.machine_load import Sample

MOST_SAMPLES = 1000  # of a trial that wait for MLflow: some 3 hours; older ones are dropped
END_PAUSES_SECONDS = (0.0, 1.0, 3.0)  # before each attempt to end a sweep


def milliseconds() -> int:
    """Return the time of day in ms since 1970."""
    return time.time_ns() // 10**6


@dataclass
class _Updates:
    """What is to be sent about one trial."""

    config: TrialConfig
    has_begun: bool = False
    is_over: bool = False
    epochs: dict[int, Epoch] = field(default_factory=dict)
    samples: deque["Sample"] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))


@dataclass
class Outbox:
    """Sends the updates of a sweep to MLflow until it accepts them; for one thread.

    Attributes:
        uri: tracking URI.
        description: what ``sweep.json`` says.
        records: of the sweep.
        say: called once, with one line, if MLflow cannot be reached while the sweep runs.
        artifacts: makes files to show beside a trial with learned noise; None for none.
        logs_models: whether final models are logged, with their weights.
        link: to the comparison of the sweep's runs in the UI; "" until the store was reached.
        problem: the last reason why MLflow lacks a part, in one line; "" if it lacks nothing.
    """

    uri: str
    description: SweepDescription
    records: SweepRecords
    say: Callable[[str], None] | None = None
    artifacts: Artifacts | None = None
    logs_models: bool = False
    link: str = ""
    problem: str = ""
    _store: Store | None = None
    _is_away: bool = False
    _is_live: bool = False
    _pending: dict[str, _Updates] = field(default_factory=dict)

    def begin(self, config: TrialConfig) -> None:
        """Put in: a trial runs."""
        if not self._is_live:
            forget_tracked(self.records)
            self._is_live = True
        self._of(config).has_begun = True

    def report(self, config: TrialConfig, epoch: Epoch) -> None:
        """Put in: an epoch ended."""
        self._of(config).epochs[epoch.number] = epoch

    def sample(self, config: TrialConfig, samples: Iterable["Sample"]) -> None:
        """Put in: how busy the trial's machine was."""
        self._of(config).samples.extend(samples)

    def end(self, config: TrialConfig) -> None:
        """Put in: a trial has ended, as its record says, or was interrupted."""
        self._of(config).is_over = True

    def _of(self, config: TrialConfig) -> _Updates:
        return self._pending.setdefault(config.trial_id, _Updates(config))

    @property
    def is_empty(self) -> bool:
        """Whether everything that was put in was sent."""
        return not self._pending

    def send(self) -> bool:
        """Send everything to MLflow; return whether it accepted everything.

        Updates that it refuses although it can be reached delay no others.
        """
        for trial_id, updates in list(self._pending.items()):
            try:
                self._send(self._reach(), updates)
                del self._pending[trial_id]
            except Exception as error:  # whatever broke: the records hold it, and it is sent again
                self._failed(error)
                if self._is_away:
                    break
        if self.is_empty:
            self.problem = ""
        return self.is_empty

    def end_sweep(self, summary: dict[str, str], failed: bool, interrupted: bool) -> bool:
        """Send every recorded trial to MLflow, and end all runs; see ``Tracker.close``.

        Returns:
            whether MLflow holds everything now.
        """
        self.say, self._is_live = None, False
        self._store = None  # a request may have succeeded although its answer was lost
        ended = milliseconds()
        for pause in END_PAUSES_SECONDS:
            time.sleep(pause)
            try:
                self._put_recorded(self._reach().complete)
                accepted_all = self.send()
                if self._is_away:
                    continue
                self._reach().finish_sweep(summary, failed, interrupted, ended)
                if accepted_all:
                    return True
            except StorageError as error:
                self._failed(error)
                return False
            except Exception as error:  # as above
                self._failed(error)
        return False

    def _put_recorded(self, complete: Collection[str]) -> None:
        """Put in every recorded trial but those, in the order in which their runs are listed."""
        names = [trial_id for trial_id in self.records.names() if trial_id not in complete]
        found = (entry for _, entry in self.records.ask_each(_index_and_config, names))
        for _, config in sorted(found, key=lambda entry: entry[0]):
            if config is not None:
                self.end(config)

    def _reach(self) -> Store:
        """Return the store, opened anew after an error."""
        if self._store is not None:
            return self._store
        self._is_away = True
        try:
            store = Store(
                self.uri, self.description, self.records, self.artifacts, self.logs_models
            )
            self.link = store.link
            if self._is_live:
                store.begin_sweep()
        except Exception as error:
            if self.say is not None:
                self.say(
                    f"MLflow at {redact(self.uri)} takes nothing now ({explain(error)}). Training "
                    "continues; what MLflow misses is sent later."
                )
                self.say = None
            raise
        self._store, self._is_away = store, False
        return store

    def _failed(self, error: Exception) -> None:
        self._store = None
        self.problem = explain(error)

    def _send(self, store: Store, updates: _Updates) -> None:
        config = updates.config
        if not updates.is_over:
            if updates.has_begun:
                store.begin(config)
            epochs = list(updates.epochs.values())
            store.log_epochs(config, epochs)
            store.log_samples(config, updates.samples, epochs)
            return
        # The record of a trial that ended holds everything, also the epochs that were missed.
        trial = self.records.trial(config.trial_id)
        if (result := trial.result()) is not None:
            epochs = [updates.epochs.get(e.number, e) for e in of_result(result)]
            store.log_samples(config, updates.samples, epochs)
            store.finish(result, epochs)
            return
        checkpoint, now = trial.latest_checkpoint(), milliseconds()
        kept = dated(checkpoint.history, now) if checkpoint is not None else []
        epochs = {epoch.number: epoch for epoch in kept} | updates.epochs
        store.interrupt(config, [epochs[number] for number in sorted(epochs)], now)


def _index_and_config(trial: TrialRecords) -> tuple[int, TrialConfig | None]:
    if (config := trial.config()) is None and (result := trial.result()) is not None:
        config = result.config
    return trial.ask_index(), config
