"""What was not sent to MLflow yet, and the order in which it is.

News are kept until MLflow has taken them. The record of a trial that ended holds everything, so
that its epochs need not be kept while a server is away.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gon_core.config import TrialConfig
from sweeps.engine.records import SweepDescription, SweepRecords, TrialRecords
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.points import Epoch, dated, of_result
from sweeps.engine.tracking.mlflow.store import Store
from sweeps.engine.tracking.mlflow.tracked import forget_tracked
from sweeps.engine.tracking.mlflow.uris import explain
from sweeps.engine.tracking.protocol import Artifacts

END_PAUSES_SECONDS = (0.0, 1.0, 3.0)  # before each attempt to end a sweep


def milliseconds() -> int:
    """Return the time of day in ms since 1970."""
    return time.time_ns() // 10**6


@dataclass
class _News:
    """What is to be sent about one trial."""

    config: TrialConfig
    has_begun: bool = False
    is_over: bool = False
    epochs: dict[int, Epoch] = field(default_factory=dict)


class Outbox:
    """Sends the news of a sweep to MLflow until it takes them; for one thread.

    Args:
        uri: tracking URI.
        description: what ``sweep.json`` says.
        records: of the sweep.
        say: told once, in one line, that MLflow cannot be reached while the sweep runs.

    Attributes:
        problem: why MLflow did not take what it did not take last, in one line; "" if it took all.
    """

    def __init__(
        self,
        uri: str,
        description: SweepDescription,
        records: SweepRecords,
        say: Callable[[str], None] | None = None,
        artifacts: Artifacts | None = None,
    ) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._description = description
        self._records = records
        self._say = say
        self._store: Store | None = None
        self._is_away = False
        self._is_live = False
        self._news: dict[str, _News] = {}
        self.problem = ""

    def begin(self, config: TrialConfig) -> None:
        """Put in: a trial runs."""
        if not self._is_live:
            forget_tracked(self._records)
            self._is_live = True
        self._of(config).has_begun = True

    def report(self, config: TrialConfig, epoch: Epoch) -> None:
        """Put in: an epoch ended."""
        self._of(config).epochs[epoch.number] = epoch

    def end(self, config: TrialConfig) -> None:
        """Put in: a trial runs no more; how it ended is in its record, if it did."""
        self._of(config).is_over = True

    def _of(self, config: TrialConfig) -> _News:
        return self._news.setdefault(config.trial_id, _News(config))

    @property
    def is_empty(self) -> bool:
        """Whether everything that was put in was sent."""
        return not self._news

    def send(self) -> bool:
        """Send everything to MLflow; return whether it took everything.

        News that it refuses although it can be reached delay no others.
        """
        for trial_id, news in list(self._news.items()):
            if (store := self._reach()) is None:
                break
            try:
                self._tell(store, news)
                del self._news[trial_id]
            except Exception as error:  # whatever broke: the records hold it, and it is tried again
                self._failed(error)
        if self.is_empty:
            self.problem = ""
        return self.is_empty

    def end_sweep(self, summary: dict[str, float], failed: bool, interrupted: bool) -> bool:
        """Send every recorded trial to MLflow, and end all runs.

        Args:
            summary: the metrics of the parent run.
            failed: whether some trial failed.
            interrupted: whether there is more to run.

        Returns:
            whether MLflow holds everything now.
        """
        self._say, self._is_live = None, False
        self._store = None  # a request may have succeeded although its answer was lost
        ended = milliseconds()
        for pause in END_PAUSES_SECONDS:
            time.sleep(pause)
            self._is_away = False
            if (store := self._reach()) is None:
                continue
            try:
                self._put_untold(store.told)
            except (OSError, ValueError, StorageError) as error:
                self._failed(error)
                return False
            took_all = self.send()
            if self._is_away or (store := self._reach()) is None:
                continue
            try:
                store.finish_sweep(summary, failed, interrupted, ended)
            except Exception as error:  # as above
                self._failed(error)
                continue
            if took_all:
                return True
        return False

    def _put_untold(self, told: Collection[str]) -> None:
        """Put in every recorded trial but those; in their turns, as their runs are listed."""
        untold = [trial_id for trial_id in self._records.names() if trial_id not in told]
        asked = self._records.ask_each(_turn_and_config, untold)
        found = [(turn, config) for _, (turn, config) in asked if config is not None]
        for _, config in sorted(found, key=lambda entry: entry[0]):
            self.end(config)

    def _reach(self) -> Store | None:
        """Return the store, opened anew after an error; None if it cannot be reached."""
        if self._store is not None:
            return self._store
        try:
            store = Store(self._uri, self._description, self._records, self._artifacts)
            if self._is_live:
                store.begin_sweep()
        except Exception as error:  # as above
            self._failed(error)
            self._is_away = True
            if self._say is not None:
                self._say(
                    f"MLflow cannot be reached at {redact(self._uri)} ({self.problem}). Training "
                    "continues; what MLflow misses is sent later."
                )
                self._say = None
            return None
        self._store, self._is_away = store, False
        return store

    def _failed(self, error: Exception) -> None:
        self._store = None
        self.problem = explain(error)

    def _tell(self, store: Store, news: _News) -> None:
        config = news.config
        if not news.is_over:
            if news.has_begun:
                store.begin(config)
            store.log_epochs(config, list(news.epochs.values()))
            return
        trial = self._records.trial(config.trial_id)
        if (result := trial.result()) is not None:
            store.finish(result, [news.epochs.get(e.number, e) for e in of_result(result)])
            return
        checkpoint, now = trial.latest_checkpoint(), milliseconds()
        kept = dated(checkpoint.history, now) if checkpoint is not None else []
        epochs = {epoch.number: epoch for epoch in kept} | news.epochs
        store.interrupt(config, [epochs[number] for number in sorted(epochs)], now)


def _turn_and_config(trial: TrialRecords) -> tuple[int, TrialConfig | None]:
    if (config := trial.config()) is None and (result := trial.result()) is not None:
        config = result.config
    return trial.turn(), config
