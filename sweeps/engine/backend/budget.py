"""What a sweep has used of its budget, and whether another trial fits into the rest.

Knows neither Ray nor the search: it listens to trials and decides before each one.
"""

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from gon_core.config import TrialConfig
from sweeps.engine.backend.forecast import Forecast, Lengths, forecast
from sweeps.engine.planning.plan import Plan, Resources
from sweeps.engine.planning.sweep_cost import too_small
from sweeps.engine.planning.trial_cost import after_training, estimate_time
from sweeps.engine.records import Stop, SweepRecords, TrialResult, Usage, starting_models
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import (
    HOUR,
    UNITS,
    Budget,
    Option,
    Spent,
    enough,
    limit_passed,
    total,
)
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.provenance import now, repeat_command

WRITE_SECONDS = 60.0  # between two writes; what a killed driver used after its last is not counted


class OutOfBudgetError(BaseException):
    """The budget has no room for a trial any more, before the first one could be started."""


@dataclass
class _Use:
    """What a trial that has not ended uses."""

    gpus: float
    is_start: bool  # it is the vanilla model
    has_run: bool = False  # it had resources, now or before
    since: float | None = None  # when its process began; None while it waits
    earlier: float = 0.0  # seconds of its processes that died

    def seconds(self, at: float) -> float:
        """Return how long it has had resources, in all of its processes."""
        return self.earlier + (0.0 if self.since is None else at - self.since)


@dataclass
class Meter:
    """Counts what a sweep uses; as a context it keeps that in the records while the block runs.

    A trial occupies its GPU while a process of it runs, with all that failed processes
    wasted; waiting for a machine, the first or another, costs nothing. The vanilla model, the one
    trial that others start from, counts as well.

    Attributes:
        estimate: seconds that a whole trial is expected to need at most; None: not known.
        after_training: seconds that a trial needs after its last epoch, by its configuration and
            the seconds of training in an epoch; used where there is no estimate.
        vanilla: ids of the trials that train the models which others start from.
        stop: set before the end of the block: why the driver ends before all trials have.
        clock: seconds, from any start.
        most_allocated: trials that ever ran at the same time.
    """

    records: SweepRecords
    resources: Resources
    budget: Budget
    estimate: float | None = None
    after_training: Callable[[TrialConfig, float], float] = lambda config, seconds: 0.0
    vanilla: frozenset[str] = frozenset()
    stop: Stop | None = None
    clock: Callable[[], float] = time.monotonic
    most_allocated: int = 0
    _trials: dict[str, _Use] = field(default_factory=dict)
    _whole: dict[str, float] = field(default_factory=dict)  # seconds of a trial, by its epochs
    _ended_gpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        usages = self.records.usage.read()
        self._earlier = total(usages)
        # Without a budget no result is read: there may be very many.
        # Trials with another share of a GPU say nothing about the time of these.
        are_alike = all(usage.gpus_per_trial == self.resources.gpus for usage in usages)
        finished = self.records.results() if self.budget.limits and are_alike else []
        self._costs = [sum(each.seconds.values()) for each in finished if each.is_final]
        self._ended = Lengths(self._costs)
        self._since: float | None = None
        self._until: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="usage", daemon=True)

    def __enter__(self) -> Self:
        self._since, self._began = self.clock(), now()
        self._name = self.records.usage.next_name()
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._over.set()
        self._thread.join()
        self._until = self.clock()
        # What already goes wrong is the news, not that this cannot be written either.
        with contextlib.suppress(*(() if error is None else (StorageError,))):
            self._write()

    def started(self, config: TrialConfig) -> None:
        """Listen: a trial will run, as soon as resources are free."""
        is_start = config.trial_id in self.vanilla
        gpus = self.resources.start_gpus if is_start else self.resources.gpus
        self._trials[config.trial_id] = _Use(gpus, is_start)

    def allocated(self, config: TrialConfig) -> None:
        """Listen: a process of a trial begins, unless that is known."""
        use = self._trials[config.trial_id]
        if use.since is None:
            use.since, use.has_run = self.clock(), True
            at_once = sum(each.since is not None for each in self._trials.values())
            self.most_allocated = max(self.most_allocated, at_once)

    def deallocated(self, config: TrialConfig) -> None:
        """Listen: the process of a trial died; the trial waits again."""
        use = self._trials[config.trial_id]
        use.earlier, use.since = use.seconds(self.clock()), None

    def cancelled(self, config: TrialConfig) -> None:
        """Listen: a trial that never had resources will not run, for now."""
        del self._trials[config.trial_id]

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Listen: an epoch ended."""
        if config.trial_id not in self.vanilla:
            seconds = metrics.get("seconds", 0.0)
            epoch = seconds + metrics.get("validation_seconds", 0.0)
            whole = config.training.max_epochs * epoch + self.after_training(config, seconds)
            self._whole[config.trial_id] = whole

    def ended(self, result: TrialResult) -> None:
        """Listen: a trial's record was written."""
        use = self._trials.pop(result.trial_id)
        seconds = use.seconds(self.clock())
        self._ended_gpu_seconds += use.gpus * seconds
        if result.is_final and not use.is_start:
            # One that was resumed has taken longer than its last part.
            self._costs.append(max(seconds, sum(result.seconds.values())))
            if self.budget.limits:  # else nothing is decided
                self._ended = Lengths(self._costs)

    @property
    def spent(self) -> Spent:
        """What was used so far, by earlier drivers too."""
        own, earlier = self._own(), self._earlier
        return Spent(earlier.seconds + own.seconds, earlier.gpu_seconds + own.gpu_seconds)

    @property
    def expected(self) -> float | None:
        """Seconds that a trial is expected to need; None before anything is known.

        The mean of the trials that have ended and of those that run, each of which counts as whole
        until it ends. Without the latter the first to end, which are the shortest (one diverges,
        or is pruned), would speak for all: a hundred running ones would pass the budget together.
        """
        return self._forecast().mean

    def limit_reached(self, expected: Forecast | None = None) -> Option | None:
        """Return which limit would be passed if one more trial were started; None if it fits."""
        expected = expected or self._forecast()
        cost, gpus = expected.mean or 0.0, self.resources.gpus
        return limit_passed(self.budget, self.spent, expected.rest, cost, gpus)

    def has_room(self) -> bool:
        """Return whether a trial would still fit, while none can start yet."""
        return self.limit_reached() is None

    def _forecast(self, more: int = 0) -> Forecast:
        """Return what is expected if ``more`` trials waited than do."""
        at, whole, by_epochs = self.clock(), self.estimate, {}
        if whole is None:
            whole, by_epochs = self._ended.longest, self._whole
            if by_epochs:
                whole = statistics.fmean(by_epochs.values())
        trials = {name: use for name, use in self._trials.items() if not use.is_start}
        lasted = {name: use.seconds(at) for name, use in trials.items() if use.has_run}
        running = [max(lasted[name], by_epochs.get(name, whole or 0.0)) for name in lasted]
        of_running = Lengths(running if whole is not None else ())
        waiting = len(trials) - len(lasted) + more
        return forecast(self._ended, list(lasted.values()), of_running, waiting, whole)

    def may_start(self) -> bool:
        """Return whether another trial may be started now.

        Where nothing is known of what a trial costs, one is started and its first epoch awaited.
        """
        if not self.budget.limits:
            return True
        expected = self._forecast()
        if expected.mean is None and self._trials:
            return False
        return self.limit_reached(expected) is None

    def may_wait(self) -> bool:
        """Return whether all trials that wait for their first allocation still fit into the budget.

        They were started when they did; since then time has passed without a machine for them, or
        others have needed more than was expected.
        """
        if not self.budget.limits or all(use.has_run for use in self._trials.values()):
            return True
        return self.limit_reached(self._forecast(more=-1)) is None

    def stop_now(self, trials_left: int) -> Stop | None:
        """Return how the budget ends the sweep now; None if another trial may be started."""
        if (reached := self.limit_reached()) is None:
            return None
        limits, larger = self.budget.limits, {}
        at_a_time = self.most_allocated if self.resources.grows else self.resources.max_concurrent
        rounds = math.ceil(trials_left / max(1, at_a_time))
        for option, limit in limits.items():
            each = self.resources.gpus * trials_left if option == "budget_gpu_hours" else rounds
            used, needed = self.spent.hours(option), (self.expected or limit * HOUR) * each / HOUR
            if used + needed > limit:
                larger["--" + option.replace("_", "-")] = f"{enough(used, needed, limit):g}"
        command = repeat_command(larger)
        return Stop(option=reached, limit=limits[reached], resume_command=command)

    def text(self) -> str:
        """Return what is used of the budget: ``0.21 of 0.5 GPU-hours``; empty without a budget."""
        return ", ".join(
            f"{self.spent.hours(option):.2g} of {limit:g} {UNITS[option]}"
            for option, limit in self.budget.limits.items()
        )

    def _own(self) -> Spent:
        if self._since is None:
            return Spent()
        at = self.clock() if self._until is None else self._until
        running = sum(use.gpus * use.seconds(at) for use in list(self._trials.values()))
        return Spent(at - self._since, self._ended_gpu_seconds + running)

    def _write(self) -> None:
        own = self._own()
        usage = Usage(
            began=self._began, seconds=own.seconds, gpu_seconds=own.gpu_seconds,
            gpus_per_trial=self.resources.gpus, stopped=self.stop,
        )  # fmt: skip
        self.records.usage.write(self._name, usage)

    def _keep(self) -> None:
        while not self._over.wait(WRITE_SECONDS):
            with contextlib.suppress(StorageError):  # the next one may get through
                self._write()


def make_meter(
    plan: Plan, storage: Folder, records: SweepRecords, budget: Budget, start_is_kept: bool,
    trains: bool, say: Callable[[str], None],
) -> Meter:  # fmt: skip
    """Return the meter of a sweep, with what a trial is expected to need if there is a budget.

    Args:
        plan, storage, records, budget: of the sweep.
        start_is_kept: whether its vanilla model is trained already.
        trains: whether there is a trial that no other sweep has.
        say: prints a line.

    Raises:
        SystemExit: 2, if the first trial of all would pass the budget.
    """
    vanilla = frozenset(starting_models.trial_config(start).trial_id for start in plan.starts)
    meter = Meter(
        records, plan.resources, budget, after_training=partial(after_training, plan),
        vanilla=vanilla,
    )  # fmt: skip
    if not budget.limits:
        return meter
    if (estimate := estimate_time(plan, storage)) is not None:
        meter.estimate = estimate.trial
        problem = too_small(plan, budget, estimate, start_is_kept)
        if problem and trains and meter.spent == Spent():
            refuse([problem])
    elif meter.expected is None:
        say("What a trial needs is not known: the first one runs alone until its first epoch ends.")
    return meter
