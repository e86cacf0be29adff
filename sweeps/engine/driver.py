"""Joins the search, the records and the listeners to what the scheduler tells. Knows no Ray."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gon_core.config import TrialConfig
from sweeps.engine.interrupts import insist
from sweeps.engine.object_store import StorageError
from sweeps.engine.plan import Plan
from sweeps.engine.provenance import now
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.study import Search
from sweeps.engine.trial import describe

WORKER_FAILED = "the trial's process died {failures} times"


class Listener(Protocol):
    """Told of what happens to trials, in the driver, as it happens."""

    def started(self, config: TrialConfig) -> None:
        """A trial was given a place."""
        ...

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """An epoch ended; the same epoch may come twice when a trial is carried on."""
        ...

    def ended(self, result: TrialResult) -> None:
        """A trial's record was written."""
        ...


@dataclass
class Driver:
    """Asks the search for trials and tells it, and every listener, how they go.

    Attributes:
        plan: makes a point and a seed into a trial.
        search: asked and told.
        records: read when a trial has ended.
        listeners: told of each event.
        max_failures: how often a trial whose process died is carried on.
        may_start: asked before each trial whether the budget allows it. While others run a refusal
            may change, once it is known what they needed.
        placed: told of each process of a trial that begins; before, the trial waits for a machine.
        lost: what kept a record from being written from here; no further trial is then suggested.
            The scheduler swallows what is raised while a trial ends, so it is kept.
    """

    plan: Plan
    search: Search
    records: SweepRecords
    listeners: Sequence[Listener]
    max_failures: int
    may_start: Callable[[], bool] = lambda: True
    placed: Callable[[TrialConfig], None] = lambda config: None
    lost: OSError | StorageError | None = None

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[TrialConfig, list[dict[str, float]]]] = {}
        self._turn = len(self.records.trials())

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles what it is given into its scratch folder; nothing reads it

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be suggested, whatever comes of those that run."""
        if self.lost is not None or self.search.is_exhausted:
            return True
        return not self._running and not self.may_start()

    def suggest(self, tune_id: str) -> TrialConfig | None:
        """Return the trial to run under the scheduler's ``tune_id``; None while there is none."""
        insist()
        if self.lost is not None or not self.may_start():
            return None
        if (proposed := self.search.next_trial()) is None:
            return None
        config = self.plan.trial(*proposed)
        trial = self.records.trial(config.trial_id)
        try:
            if not trial.folder.exists("trial.json"):
                trial.write_turn(self._turn)
                trial.write_config(config)
                self._turn += 1
        except (OSError, StorageError) as error:
            self.lost = error
            return None
        self._running[tune_id] = (config, [])
        self._tell(lambda listener: listener.started(config))
        return config

    def began(self, tune_id: str) -> None:
        """Take in that a process of a trial begins, the first or one that carries it on."""
        if tune_id in self._running:
            self.placed(self._running[tune_id][0])

    def reported(self, tune_id: str, metrics: dict[str, float]) -> None:
        """Take in the metrics of an epoch; an epoch that was repeated counts once."""
        insist()
        if tune_id not in self._running:
            return
        config, history = self._running[tune_id]
        if not history or metrics["epoch"] > history[-1]["epoch"]:
            history.append(metrics)
            self._tell(lambda listener: listener.reported(config, metrics))

    def ended(self, tune_id: str, failed: bool, reason: str = "") -> None:
        """Take in that a trial is over; write its record if it could not do so itself.

        Args:
            tune_id: the scheduler's name of the trial.
            failed: whether its process died too often.
            reason: why it could not write its record, if it could say so.
        """
        if tune_id not in self._running:
            return
        config, history = self._running.pop(tune_id)
        trial = self.records.trial(config.trial_id)
        result = trial.result()
        if result is None or (failed and result.is_final):
            # The trial did not write its record: ASHA stopped it, or its process died too often.
            pruned = not failed and not reason and self.plan.asked.scheduler == "asha"
            died = WORKER_FAILED.format(failures=self.max_failures + 1)
            result = TrialResult(
                trial_id=config.trial_id,
                config=config,
                status="pruned" if pruned else "failed",
                reason="" if pruned else died if failed else reason or "it ended without a record",
                history=history,
                seconds={"training": sum(entry["seconds"] for entry in history)},
                ended=now(),
                device=describe("cpu") if self.plan.resources.device == "cpu" else "cuda",
            )
            try:
                trial.write_result(result)
            except (OSError, StorageError) as error:
                self.lost = error
                return
        point = self.plan.question.point(config.method)
        objectives = self.plan.objectives(result)
        self.search.ledger.tell(point, config.seed, result.status, objectives)
        self._tell(lambda listener: listener.ended(result))

    def _tell(self, event: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            event(listener)
