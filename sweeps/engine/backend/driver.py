"""Joins the search, the records and the listeners to what the scheduler tells. Knows no Ray."""

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
from sweeps.engine.trials.trial import describe

PATIENCE = 3.0  # seconds in which a machine whose end took a process with it is seen to be gone


@dataclass(frozen=True)
class Limits:
    """How often a trial is carried on; what is taken away is no failure of its own.

    Attributes:
        failures: after its process died.
        node_losses: after its machine went away, with notice or without.
    """

    failures: int
    node_losses: int


class Listener(Protocol):
    """Told of what happens to trials, in the driver, as it happens."""

    def started(self, config: TrialConfig) -> None:
        """A trial is to run, as soon as there is a place."""
        ...

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """An epoch ended; the same epoch may come twice when a trial is carried on."""
        ...

    def ended(self, result: TrialResult) -> None:
        """A trial's record was written."""
        ...


class PlaceListener(Protocol):
    """Told of which trials have a place, in the driver, as it happens."""

    def placed(self, config: TrialConfig) -> None:
        """A process of a trial begins; before, the trial waits for a machine."""
        ...

    def displaced(self, config: TrialConfig) -> None:
        """The process of a trial died; the trial waits again."""
        ...

    def withdrawn(self, config: TrialConfig) -> None:
        """A trial that never had a place is not to run, for now."""
        ...


@dataclass
class _Deaths:
    """What ended the processes of one trial since this driver started it.

    Attributes:
        attempts: starts of it that are known.
        nodes: the machines that were there when its last process began.
        failures: of its own.
        node_losses: of its machine.
    """

    attempts: int
    nodes: frozenset[str] = frozenset()
    failures: int = 0
    node_losses: int = 0


@dataclass
class Driver:
    """Asks the search for trials and tells it, and every listener, how they go.

    Attributes:
        plan: of the sweep.
        search: asked and told.
        records: read when a trial has ended.
        listeners: told of each event.
        limits: how often a trial is carried on.
        may_start: asked before each trial whether the budget allows it. While others run a refusal
            may change, once it is known what they needed.
        may_wait: asked whether the budget still has room for the trials that wait for their first
            place, which may come hours after they were started.
        place_listeners: told of which trials have a place.
        lost: what kept a record from being written or read; no further trial is then suggested.
            The scheduler swallows what is raised while a trial ends, so it is kept.
    """

    plan: Plan
    search: Search
    records: SweepRecords
    listeners: Sequence[Listener]
    limits: Limits
    may_start: Callable[[], bool] = lambda: True
    may_wait: Callable[[], bool] = lambda: True
    place_listeners: Sequence[PlaceListener] = ()
    lost: StorageError | UnsharedStorageError | None = None

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[TrialConfig, list[dict[str, float]]]] = {}
        self._waiting: dict[str, TrialConfig] = {}  # of these, those that never had a place
        self._points: dict[str, Point] = {}
        self._deaths: dict[str, _Deaths] = {}
        self._nodes: frozenset[str] = frozenset()  # when a process last began
        self._turn = len(self.records.names())

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Ray pickles what it is given into its scratch folder; nothing reads it

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be suggested, whatever comes of those that run."""
        if self.lost is not None:
            return True
        if self.search.is_exhausted:  # but those that wait may be withdrawn, and come again
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
        self._tell(lambda listener: listener.started(config))
        return config

    def began(self, tune_id: str, nodes: Collection[str] = ()) -> None:
        """Take in that a process of a trial begins, the first or one that carries it on.

        Args:
            tune_id: the scheduler's name of the trial.
            nodes: the scheduler's names of the machines that are there.
        """
        if tune_id in self._running:
            self._deaths[tune_id].nodes = self._nodes = frozenset(nodes)
            self._waiting.pop(tune_id, None)
            self._tell_places(lambda listener: listener.placed(self._running[tune_id][0]))

    def withdraw(self) -> str | None:
        """Take back the last trial that waits, if the budget has no room for those that do.

        Returns:
            the scheduler's name of the trial, which is not to run; None if all may wait.
        """
        if not self._waiting or self.may_wait():
            return None
        tune_id, config = self._waiting.popitem()
        del self._running[tune_id], self._deaths[tune_id]
        self.search.ledger.put_back(self._points.pop(tune_id), config.seed)
        self._tell_places(lambda listener: listener.withdrawn(config))
        return tune_id

    def reported(self, tune_id: str, metrics: dict[str, float]) -> None:
        """Take in the metrics of an epoch; an epoch that was repeated counts once."""
        raise_pending_interrupt()
        if tune_id not in self._running:
            return
        config, history = self._running[tune_id]
        if not history or metrics["epoch"] > history[-1]["epoch"]:
            history.append(metrics)
            self._tell(lambda listener: listener.reported(config, metrics))

    def is_given_up(
        self, tune_id: str, nodes: Callable[[], Collection[str]], reason: str = ""
    ) -> bool:
        """Take in that a trial's process has died; write its record if that was once too often.

        Args:
            tune_id: the scheduler's name of the trial.
            nodes: asked for the scheduler's names of the machines that are there.
            reason: why it would die again; empty if that is not known.
        """
        raise_pending_interrupt()
        if tune_id not in self._running:
            return False
        config, history = self._running[tune_id]
        self._tell_places(lambda listener: listener.displaced(config))
        trial = self.records.trial(config.trial_id)
        try:
            result, attempts = trial.result(), trial.attempts()
        except StorageError as error:
            self.lost = error
            return False
        if result is not None and result.is_final:  # it came to its end, and was not heard
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
        last = attempts[-1] if len(attempts) > deaths.attempts else None  # it came to none itself
        deaths.attempts = len(attempts)
        before = deaths.nodes or self._nodes  # the latter if it died before it began
        if (last is not None and last.stopped) or _is_gone(before, last, nodes):
            deaths.node_losses += 1
        else:
            deaths.failures += 1
        if deaths.failures > self.limits.failures:
            return f"the trial's process died {times(deaths.failures)}"
        if deaths.node_losses > self.limits.node_losses:
            return f"the trial's machine went away {times(deaths.node_losses)}"
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
        """Take in that a trial is over; write its record if it could not do so itself.

        Args:
            tune_id: the scheduler's name of the trial.
            failed: whether its process died too often.
            reason: why it could not write its record, if it could say so.
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
        self._tell(lambda listener: listener.ended(result))

    def _device(self) -> str:
        resources = self.plan.resources
        if resources.device == "cpu":
            return describe("cpu", resources.processes)
        return f"{resources.processes} x cuda" if resources.processes > 1 else "cuda"

    def _tell(self, event: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            event(listener)

    def _tell_places(self, event: Callable[[PlaceListener], None]) -> None:
        for listener in self.place_listeners:
            event(listener)


def _is_gone(
    before: frozenset[str], last: Attempt | None, nodes: Callable[[], Collection[str]]
) -> bool:
    """Return whether the machine of a trial's last process is gone, or will be in a moment."""
    # One that died before it came to an attempt may have been on any machine.
    suspects = before if last is None else {last.node}
    return is_gone(suspects, len(before) <= 1, nodes)


def is_gone(
    suspects: Collection[str], is_alone: bool, nodes: Callable[[], Collection[str]]
) -> bool:
    """Return whether one of these machines is gone, or will be in a moment.

    Args:
        suspects: machines that a process that died may have been on.
        is_alone: whether there was one machine, and so this one, which is there.
        nodes: asked for the machines that are there.
    """
    deadline = time.monotonic() + (0 if is_alone else PATIENCE)
    while set(suspects) <= set(nodes()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
    return True
