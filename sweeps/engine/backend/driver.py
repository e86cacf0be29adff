"""Connects the search, the records and the listeners to what the backend reports."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gon_core.config import TrialConfig
from search_spaces.parameter import Point
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import Attempt, Status, SweepRecords, TrialRecords, TrialResult
from sweeps.engine.resources.cluster_check import UnsharedStorageError
from sweeps.engine.search.search import Search
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import now
from sweeps.engine.system.signals import raise_pending_interrupt
from sweeps.engine.system.text import times

PATIENCE = 3.0  # seconds after the death of a process in which the loss of its machine is seen


@dataclass(frozen=True)
class Limits:
    """How often a trial is resumed; the loss of a machine is no failure of the trial.

    Attributes:
        failures: after its process died.
        node_losses: after its machine was lost, with notice or without.
    """

    failures: int
    node_losses: int


class Listener(Protocol):
    """Notified of what happens to trials, in the driver, as it happens."""

    def started(self, config: TrialConfig) -> None:
        """A trial will run, as soon as resources are free."""
        ...

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """An epoch ended; the same epoch may come twice when a trial is resumed."""
        ...

    def ended(self, result: TrialResult) -> None:
        """A trial's record was written."""
        ...


class AllocationListener(Protocol):
    """Notified of which trials have resources, in the driver, as it happens."""

    def allocated(self, config: TrialConfig) -> None:
        """A process of a trial begins; before, the trial waits for a machine."""
        ...

    def deallocated(self, config: TrialConfig) -> None:
        """The process of a trial died; the trial waits again."""
        ...

    def cancelled(self, config: TrialConfig) -> None:
        """A trial that never had resources will not run, for now."""
        ...


@dataclass
class _Deaths:
    """What ended the processes of one trial since this driver started it.

    Attributes:
        attempts: starts of it that are known.
        nodes: the machines when its last process began.
        failures: of its own.
        node_losses: of its machine.
    """

    attempts: int
    nodes: frozenset[str] = frozenset()
    failures: int = 0
    node_losses: int = 0


@dataclass
class Driver:
    """Takes trials from the search; notifies it, and every listener, of what happens to them.

    Attributes:
        plan: of the sweep.
        search: proposes trials.
        records: read when a trial has ended.
        listeners: notified of each event.
        limits: how often a trial is resumed.
        may_start: called before each trial: whether the budget allows it. While others run, a
            refusal may change once it is known what they needed.
        may_wait: whether the budget still has room for the trials that wait for their first
            resources, which may come hours after they were suggested.
        allocation_listeners: notified of which trials have resources.
        lost: why a record could not be written or read; no further trial is then suggested. Kept
            here, because the scheduler drops what is raised while a trial ends.
    """

    plan: Plan
    search: Search
    records: SweepRecords
    listeners: Sequence[Listener]
    limits: Limits
    may_start: Callable[[], bool] = lambda: True
    may_wait: Callable[[], bool] = lambda: True
    allocation_listeners: Sequence[AllocationListener] = ()
    lost: StorageError | UnsharedStorageError | None = None

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[TrialConfig, list[dict[str, float]]]] = {}
        self._waiting: dict[str, TrialConfig] = {}  # of these, those that never had resources
        self._points: dict[str, Point] = {}
        self._deaths: dict[str, _Deaths] = {}
        self._nodes: frozenset[str] = frozenset()  # when a process last began
        self._turn = len(self.records.names())

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles what it is given into its scratch folder; nothing reads it

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be suggested, however those that run end."""
        if self.lost is not None:
            return True
        if self.search.is_exhausted:  # but those that wait may be cancelled, and come again
            return not self._waiting
        return not self._running and not self.may_start()

    def suggest(self, tune_id: str) -> TrialConfig | None:
        """Return the trial to run under the scheduler's ``tune_id``; None while there is none."""
        raise_pending_interrupt()
        if self.lost is not None or not self.may_start():
            return None
        if (proposed := self.search.next_trial()) is None:
            return None
        point, _, config = proposed
        trial = self.records.trial(config.trial_id)
        attempts = 0
        try:
            if trial.folder.exists("trial.json"):
                attempts = len(trial.attempts())
            else:
                trial.write_turn(self._turn)
                trial.write_config(config)
                self._turn += 1
        except StorageError as error:
            self.lost = error
            return None
        self._running[tune_id] = (config, [])
        self._waiting[tune_id] = config
        self._points[tune_id] = point
        self._deaths[tune_id] = _Deaths(attempts)
        self._notify(lambda listener: listener.started(config))
        return config

    def began(self, tune_id: str, nodes: Collection[str] = ()) -> None:
        """Record that a process of a trial begins, the first or a later one.

        Args:
            tune_id: the scheduler's name of the trial.
            nodes: the scheduler's names of the machines of now.
        """
        if tune_id in self._running:
            self._deaths[tune_id].nodes = self._nodes = frozenset(nodes)
            self._waiting.pop(tune_id, None)
            self._notify_allocation(lambda listener: listener.allocated(self._running[tune_id][0]))

    def cancel_waiting(self) -> str | None:
        """Cancel the last trial that waits, if the budget has no room for all that wait.

        Returns:
            the scheduler's name of the trial, which will not run; None if all may wait.
        """
        if not self._waiting or self.may_wait():
            return None
        tune_id, config = self._waiting.popitem()
        del self._running[tune_id], self._deaths[tune_id]
        self.search.ledger.put_back(self._points.pop(tune_id), config.seed)
        self._notify_allocation(lambda listener: listener.cancelled(config))
        return tune_id

    def reported(self, tune_id: str, metrics: dict[str, float]) -> None:
        """Record the metrics of an epoch; an epoch that was repeated counts once."""
        raise_pending_interrupt()
        if tune_id not in self._running:
            return
        config, history = self._running[tune_id]
        if not history or metrics["epoch"] > history[-1]["epoch"]:
            history.append(metrics)
            self._notify(lambda listener: listener.reported(config, metrics))

    def is_abandoned(
        self, tune_id: str, nodes: Callable[[], Collection[str]], reason: str = ""
    ) -> bool:
        """Record that a trial's process died; return whether that was once too often.

        Then the trial is not resumed, and its record is written here.

        Args:
            tune_id: the scheduler's name of the trial.
            nodes: returns the scheduler's names of the machines of now.
            reason: why it would die again; empty if that is not known.
        """
        raise_pending_interrupt()
        if tune_id not in self._running:
            return False
        config, history = self._running[tune_id]
        self._notify_allocation(lambda listener: listener.deallocated(config))
        trial = self.records.trial(config.trial_id)
        try:
            result, attempts = trial.result(), trial.attempts()
        except StorageError as error:
            self.lost = error
            return False
        if result is not None and result.is_final:  # it ended, and could not report it
            return False
        reason = reason or self._count_death(tune_id, attempts, nodes)
        if not reason:
            return False
        self._write(trial, self._without_record(config, history, "failed", reason))
        return True

    def _count_death(
        self, tune_id: str, attempts: Sequence[Attempt], nodes: Callable[[], Collection[str]]
    ) -> str:
        """Count the death of a trial's process; return why it is one too many, if it is."""
        deaths = self._deaths[tune_id]
        last = attempts[-1] if len(attempts) > deaths.attempts else None  # it wrote none itself
        deaths.attempts = len(attempts)
        before = deaths.nodes or self._nodes  # the latter if it died before it began
        if (last is not None and last.stopped) or _is_lost(before, last, nodes):
            deaths.node_losses += 1
        else:
            deaths.failures += 1
        if deaths.failures > self.limits.failures:
            return f"the trial's process died {times(deaths.failures)}"
        if deaths.node_losses > self.limits.node_losses:
            return f"the trial's machine was lost {times(deaths.node_losses)}"
        return ""

    def _without_record(
        self, config: TrialConfig, history: list[dict[str, float]], status: Status, reason: str
    ) -> TrialResult:
        """Return the record of a trial that could not write its own."""
        return TrialResult(
            trial_id=config.trial_id,
            config=config,
            status=status,
            reason=reason,
            history=history,
            seconds={"training": sum(entry["seconds"] for entry in history)},
            ended=now(),
            device=self._device(),
            device_type=self.plan.resources.device,
        )

    def _write(self, trial: TrialRecords, result: TrialResult) -> None:
        try:
            trial.write_result(result)
        except StorageError as error:
            self.lost = error

    def ended(self, tune_id: str, failed: bool, reason: str = "") -> None:
        """Record that a trial is over; write its record if it could not do so itself.

        Args:
            tune_id: the scheduler's name of the trial.
            failed: whether its process died too often.
            reason: why it could not write its record, if known.
        """
        if tune_id not in self._running:
            return
        config, history = self._running.pop(tune_id)
        self._waiting.pop(tune_id, None)
        trial = self.records.trial(config.trial_id)
        try:
            result = trial.result()
        except StorageError as error:
            self.lost = error
            return
        if result is None or (reason and not result.is_final):
            # The trial did not write its record: ASHA stopped it, or it could not.
            pruned = not failed and not reason and self.plan.config.scheduler == "asha"
            why = reason or ("its process died" if failed else "it ended without a record")
            result = self._without_record(
                config, history, "pruned" if pruned else "failed", "" if pruned else why
            )
            self._write(trial, result)
            if self.lost is not None:
                return
        objectives = self.plan.objectives(result)
        self.search.ledger.record(self._points.pop(tune_id), config.seed, result.status, objectives)
        self._notify(lambda listener: listener.ended(result))

    def _device(self) -> str:
        from sweeps.engine.trials.trial import describe  # it loads torch

        resources = self.plan.resources
        if resources.device == "cpu":
            return describe("cpu", resources.processes)
        return f"{resources.processes} x cuda" if resources.processes > 1 else "cuda"

    def _notify(self, event: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            event(listener)

    def _notify_allocation(self, event: Callable[[AllocationListener], None]) -> None:
        for listener in self.allocation_listeners:
            event(listener)


def _is_lost(
    before: frozenset[str], last: Attempt | None, nodes: Callable[[], Collection[str]]
) -> bool:
    """Return whether the machine of a trial's last process is lost, now or in a moment.

    Args:
        before: the machines when the process began.
        last: its attempt. One that died before it wrote any may have been on any machine.
        nodes: returns the machines of now.
    """
    suspects = before if last is None else {last.node}
    is_alone = len(before) <= 1  # then it was this machine
    deadline = time.monotonic() + (0 if is_alone else PATIENCE)
    while set(suspects) <= set(nodes()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
    return True
