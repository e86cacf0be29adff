"""Connects the search, the records and the listeners to what the backend reports."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gon_core.config import TrialConfig
from search_spaces.parameter import Point
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import Attempt, OtherSweeps, Status, SweepRecords, TrialResult
from sweeps.engine.resources.cluster_check import UnsharedStorageError
from sweeps.engine.search.ledger import PlannedTrial
from sweeps.engine.search.search import Search
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import now
from sweeps.engine.system.signals import raise_pending_interrupt
from sweeps.engine.system.text import times

if TYPE_CHECKING:  # it loads torch
    from sweeps.engine.trials.machine_load import Sample

PATIENCE = 3.0  # seconds after the death of a process in which the loss of its machine is seen


class Listener(Protocol):
    """Notified of what happens to trials, in the driver, as it happens."""

    def started(self, config: TrialConfig) -> None:
        """A trial will run, as soon as resources are free."""

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """An epoch ended; the same epoch may come twice when a trial is resumed."""

    def ended(self, result: TrialResult) -> None:
        """A trial's record was written."""


class AllocationListener(Protocol):
    """Notified of which trials have resources, in the driver, as it happens."""

    def allocated(self, config: TrialConfig) -> None:
        """A process of a trial begins; before, the trial waits for a machine."""

    def deallocated(self, config: TrialConfig) -> None:
        """The process of a trial died; the trial waits again."""

    def cancelled(self, config: TrialConfig) -> None:
        """A trial that never had resources will not run, for now."""


@dataclass
class _Suggested:
    """A trial that was suggested and has not ended, and what ended its processes."""

    config: TrialConfig
    point: Point
    attempts: int  # starts of it that are known
    waits: bool = True  # it never had resources
    history: list[dict[str, float]] = field(default_factory=list)  # the metrics of its epochs
    nodes: frozenset[str] = frozenset()  # the machines when its last process began
    failures: int = 0
    node_losses: int = 0


@dataclass
class Driver:
    """Takes trials from the search; notifies it, and every listener, of what happens to them.

    Attributes:
        may_start: called before each trial: whether the budget allows it. While others run, a
            refusal may change once it is known what they needed.
        may_wait: whether the budget still has room for the trials that wait for their first
            resources, which may come hours after they were suggested.
        others: sweeps whose trials are reused.
        show_evaluation: called with a trial and how far its evaluation is.
        show_load: called with a trial and samples of how busy its machine is; None where they are
            not to be taken.
        lost: why a record could not be written or read; no further trial is then suggested. Kept
            here, because the scheduler drops what is raised while a trial ends.
    """

    plan: Plan
    search: Search
    records: SweepRecords
    listeners: Sequence[Listener]
    may_start: Callable[[], bool] = lambda: True
    may_wait: Callable[[], bool] = lambda: True
    allocation_listeners: Sequence[AllocationListener] = ()
    others: OtherSweeps | None = None
    show_evaluation: Callable[[TrialConfig, str], None] = lambda config, words: None
    show_load: Callable[[TrialConfig, Sequence["Sample"]], None] | None = None
    lost: StorageError | UnsharedStorageError | None = None

    def __post_init__(self) -> None:
        self._trials: dict[str, _Suggested] = {}  # by the scheduler's name of each
        self._nodes: frozenset[str] = frozenset()  # when a process last began
        self._next_index = len(self.records.names())

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles what it is given into its scratch folder; nothing reads it

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be suggested, however those that run end."""
        if self.lost is not None:
            return True
        if self.search.is_exhausted:  # but those that wait may be cancelled, and come again
            return not any(trial.waits for trial in self._trials.values())
        return not self._trials and not self.may_start()

    def suggest(self, tune_id: str) -> TrialConfig | None:
        """Return the trial to run under the scheduler's ``tune_id``; None while there is none.

        What another sweep has trained is recorded instead, and the next trial is taken.
        """
        raise_pending_interrupt()
        try:
            while self.lost is None and self.may_start():
                if (proposed := self.search.next_trial()) is None:
                    return None
                if not self.reuse(proposed):
                    return self._begin(tune_id, proposed)
        except StorageError as error:
            self.lost = error
        return None

    def _begin(self, tune_id: str, proposed: PlannedTrial) -> TrialConfig:
        point, _, config = proposed
        trial = self.records.trial(config.trial_id)
        attempts = 0
        if trial.folder.exists("trial.json"):
            attempts = len(trial.attempts())
        else:
            trial.write_ask_index(self._next_index)
            trial.write_config(config)
            self._next_index += 1
        self._trials[tune_id] = _Suggested(config, point, attempts)
        for listener in self.listeners:
            listener.started(config)
        return config

    def reuse(self, proposed: PlannedTrial) -> bool:
        """Record the result that another sweep has of a trial; return whether one has it."""
        if self.others is None:
            return False
        point, seed, config = proposed
        trial = self.records.trial(config.trial_id)
        is_new = not trial.folder.exists("trial.json")
        if (result := self.others.take(config, trial, self._next_index)) is None:
            return False
        self._next_index += is_new
        self.search.ledger.record(point, seed, result.status, self.plan.objectives(result))
        for listener in self.listeners:
            listener.started(config)
            listener.ended(result)
        return True

    def reuse_waiting(self) -> int:
        """Record all that other sweeps have of the trials that wait; return how many they are.

        Of proposals, which depend on what is known, it looks at the next one alone.
        """
        waiting, count = [], 0
        while self.search.ledger.has_queued or not waiting:
            if (proposed := self.search.next_trial()) is None:
                break
            if self.reuse(proposed):
                count += 1
            else:
                waiting.append(proposed)
        for point, seed, _ in reversed(waiting):
            self.search.ledger.put_back(point, seed)
        return count

    def began(self, tune_id: str, nodes: Collection[str] = ()) -> None:
        """Record that a process of a trial begins, while there are the machines ``nodes``."""
        if (trial := self._trials.get(tune_id)) is not None:
            trial.nodes = self._nodes = frozenset(nodes)
            trial.waits = False
            for listener in self.allocation_listeners:
                listener.allocated(trial.config)

    def cancel_waiting(self) -> str | None:
        """Cancel the last trial that waits, and return its name, unless the budget has room."""
        if self.may_wait():
            return None
        for tune_id, trial in reversed(self._trials.items()):
            if trial.waits:
                self.cancel(tune_id)
                return tune_id
        return None

    def cancel(self, tune_id: str) -> None:
        """Cancel a trial that waits, unless it is cancelled already."""
        if (trial := self._trials.pop(tune_id, None)) is not None:
            self.search.ledger.put_back(trial.point, trial.config.seed)
            for listener in self.allocation_listeners:
                listener.cancelled(trial.config)

    def has(self, tune_id: str) -> bool:
        """Return whether a trial has been suggested, and has not ended."""
        return tune_id in self._trials

    def reported(self, tune_id: str, metrics: dict[str, float]) -> None:
        """Record the metrics of an epoch; an epoch that was repeated counts once."""
        raise_pending_interrupt()
        if (trial := self._trials.get(tune_id)) is None:
            return
        if not trial.history or metrics["epoch"] > trial.history[-1]["epoch"]:
            trial.history.append(metrics)
            for listener in self.listeners:
                listener.reported(trial.config, metrics)

    def sampled(self, tune_id: str, samples: Sequence["Sample"]) -> None:
        """Pass on how busy the machine of a trial was."""
        if self.show_load is not None and (trial := self._trials.get(tune_id)) is not None:
            self.show_load(trial.config, samples)

    def evaluating(self, tune_id: str, words: str) -> None:
        """Pass on how far the evaluation of a trial's final model is."""
        raise_pending_interrupt()
        if (trial := self._trials.get(tune_id)) is not None:
            self.show_evaluation(trial.config, words)

    def is_abandoned(
        self, tune_id: str, nodes: Callable[[], Collection[str]], reason: str = ""
    ) -> bool:
        """Record that a trial's process died; return whether that was once too often.

        Then the trial is not resumed, and its record is written here.

        Args:
            tune_id: the scheduler's name of the trial.
            nodes: returns its names of the machines of now.
            reason: why it would die again; empty if that is not known.
        """
        raise_pending_interrupt()
        if (trial := self._trials.get(tune_id)) is None:
            return False
        for listener in self.allocation_listeners:
            listener.deallocated(trial.config)
        records = self.records.trial(trial.config.trial_id)
        try:
            result = records.result()
            if result is not None and result.is_final:  # it ended, and could not report it
                return False
            reason = reason or self._count_death(trial, records.attempts(), nodes)
            if reason:
                records.write_result(self._without_record(trial, "failed", reason))
        except StorageError as error:
            self.lost = error
        return bool(reason)

    def _count_death(
        self, trial: _Suggested, attempts: Sequence[Attempt], nodes: Callable[[], Collection[str]]
    ) -> str:
        """Count the death of a trial's process; return why it is one too many, if it is."""
        last = attempts[-1] if len(attempts) > trial.attempts else None  # it wrote none itself
        trial.attempts = len(attempts)
        before = trial.nodes or self._nodes  # the latter if it died before it began
        if (last is not None and last.stopped) or _is_lost(before, last, nodes):
            trial.node_losses += 1
        else:
            trial.failures += 1
        if trial.failures > self.plan.max_failures:
            return f"the trial's process died {times(trial.failures)}"
        if trial.node_losses > self.plan.max_node_losses:
            return f"the trial's machine was lost {times(trial.node_losses)}"
        return ""

    def _without_record(self, trial: _Suggested, status: Status, reason: str) -> TrialResult:
        """Return the record of a trial that could not write its own."""
        resources = self.plan.resources
        device = f"cpu, {resources.cpus} thread(s)" if resources.device == "cpu" else "cuda"
        return TrialResult(
            trial_id=trial.config.trial_id,
            config=trial.config,
            status=status,
            reason=reason,
            history=trial.history,
            seconds={"training": sum(entry["seconds"] for entry in trial.history)},
            ended=now(),
            device=f"{resources.processes} x {device}" if resources.processes > 1 else device,
            device_type=resources.device,
        )

    def ended(self, tune_id: str, failed: bool, reason: str = "") -> None:
        """Record that a trial is over; write its record if it could not do so itself.

        Args:
            tune_id: the scheduler's name of the trial.
            failed: whether the scheduler says that its process died.
            reason: why it could not write its record, if known.
        """
        if (trial := self._trials.pop(tune_id, None)) is None:
            return
        config = trial.config
        records = self.records.trial(config.trial_id)
        try:
            result = records.result()
            if result is None or (reason and not result.is_final):
                # The trial did not write its record: ASHA stopped it, or it could not.
                if not failed and not reason and self.plan.config.scheduler == "asha":
                    result = self._without_record(trial, "pruned", "")
                else:
                    why = "its process died" if failed else "it ended without a record"
                    result = self._without_record(trial, "failed", reason or why)
                records.write_result(result)
        except StorageError as error:
            self.lost = error
            return
        objectives = self.plan.objectives(result)
        self.search.ledger.record(trial.point, config.seed, result.status, objectives)
        for listener in self.listeners:
            listener.ended(result)


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
