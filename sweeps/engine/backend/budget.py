"""What a sweep has used of its budget, and whether another trial fits into the rest.

Knows neither Ray nor the search: it listens to trials and decides before each one.
"""

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Self

from gon_core.config import TrialConfig
from sweeps.engine.backend.forecast import Forecast, Lengths
from sweeps.engine.planning.plan import Plan, Resources
from sweeps.engine.planning.sweep_cost import too_small
from sweeps.engine.planning.trial_cost import after_training, estimate_time
from sweeps.engine.records import Stop, SweepRecords, TrialResult, Usage
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
START = "start"  # the vanilla model, among the trials


class OutOfBudgetError(BaseException):
    """The budget has no room for a trial any more, before the first one could be started."""


def whole_seconds(result: TrialResult) -> float:
    """Return how long a trial took, in one process or several: training and evaluation."""
    return sum(result.seconds.values())


@dataclass
class Meter:
    """Counts what a sweep uses; as a context it keeps that in the records while the block runs.

    A trial occupies its GPU while a process of it runs, with all that failed processes
    wasted; waiting for a machine, the first or another, costs nothing.

    Attributes:
        records: of the sweep.
        resources: of each trial.
        budget: the limits, if any.
        estimate: seconds that a whole trial is expected to need at most; None: not known.
        after_training: seconds that a trial needs after its last epoch, by its configuration and
            the seconds of training in an epoch; used where there is no estimate.
        stop: set before the end of the block: why the driver ends before all trials have.
        clock: seconds, from any start.
        most_allocated: trials that ever ran at the same time.
    """

    records: SweepRecords
    resources: Resources
    budget: Budget
    estimate: float | None = None
    after_training: Callable[[TrialConfig, float], float] = lambda config, seconds: 0.0
    stop: Stop | None = None
    clock: Callable[[], float] = time.monotonic
    most_allocated: int = 0
    _waiting: dict[str, None] = field(default_factory=dict)  # those that never ran
    _running: dict[str, float | None] = field(default_factory=dict)  # since when it runs
    _used: dict[str, float] = field(default_factory=dict)  # seconds, by processes that died
    _longest: dict[str, float] = field(default_factory=dict)  # of a whole trial, by its first epoch
    _ended_gpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        usages = self.records.usage.read()
        self._earlier = total(usages)
        # Without a budget no result is read: there may be very many.
        # Trials with another share of a GPU say nothing about the time of these.
        are_alike = all(usage.gpus_per_trial == self.resources.gpus for usage in usages)
        finished = self.records.results() if self.budget.limits and are_alike else []
        self._costs = [whole_seconds(result) for result in finished if result.is_final]
        self._ended = Lengths(self._costs)
        self._since: float | None = None
        self._until: float | None = None
        self._name, self._began = "", ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._since, self._began = self.clock(), now()
        self._name = self.records.usage.next_name()
        self._write()
        self._thread = threading.Thread(target=self._keep, name="usage", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()
        self._until = self.clock()
        # What already goes wrong is the news, not that this cannot be written either.
        with contextlib.suppress(*(() if error is None else (StorageError,))):
            self._write()

    def started(self, config: TrialConfig) -> None:
        """Listen: a trial is to run, as soon as it has an allocation."""
        self._waiting[config.trial_id] = None

    def allocated(self, config: TrialConfig) -> None:
        """Take in that a process of the trial has its allocation, unless that is known."""
        if self._running.get(config.trial_id) is None:
            self._waiting.pop(config.trial_id, None)
            self._running[config.trial_id] = self.clock()
            has_place = sum(since is not None for since in self._running.values())
            self.most_allocated = max(self.most_allocated, has_place)

    def deallocated(self, config: TrialConfig) -> None:
        """Take in that the process of the trial has died: the trial waits again."""
        since = self._running.get(config.trial_id)
        if since is not None:
            used = self._used.get(config.trial_id, 0.0)
            self._used[config.trial_id] = used + self.clock() - since
            self._running[config.trial_id] = None

    def cancelled(self, config: TrialConfig) -> None:
        """Take in that a trial that never ran is not to run, for now."""
        self._waiting.pop(config.trial_id, None)

    def reported(self, config: TrialConfig, metrics: dict[str, float]) -> None:
        """Listen: an epoch ended."""
        seconds = metrics.get("seconds", 0.0)
        epochs = config.training.max_epochs * (seconds + metrics.get("validation_seconds", 0.0))
        self._longest[config.trial_id] = epochs + self.after_training(config, seconds)

    def ended(self, result: TrialResult) -> None:
        """Listen: a trial's record was written."""
        seconds = self._seconds_of(result.trial_id, self.clock())
        self._running.pop(result.trial_id, None)
        self._waiting.pop(result.trial_id, None)
        self._used.pop(result.trial_id, None)
        self._ended_gpu_seconds += self.resources.gpus * seconds
        if result.is_final:
            # One that was resumed has taken longer than its last part.
            self._costs.append(max(seconds, whole_seconds(result)))
            if self.budget.limits:  # else nothing is decided
                self._ended = Lengths(self._costs)

    @contextlib.contextmanager
    def start_model(self) -> Iterator[None]:
        """Count what is done in the block as a trial's time: the vanilla model is trained."""
        self._running[START] = self.clock()
        try:
            yield
        finally:
            seconds = self._seconds_of(START, self.clock())
            self._running.pop(START)
            self._ended_gpu_seconds += self.resources.start_gpus * seconds

    @property
    def spent(self) -> Spent:
        """What was used so far, by earlier drivers too."""
        own = self._own()
        return Spent(
            self._earlier.seconds + own.seconds, self._earlier.gpu_seconds + own.gpu_seconds
        )

    @property
    def expected(self) -> float | None:
        """Seconds that a trial is expected to need; None before anything is known.

        The mean of the trials that have ended and of those that run, each of which counts as whole
        until it ends. Without the latter the first to end, which are the shortest (one diverges,
        or is pruned), would speak for all: a hundred running ones would pass the budget together.
        """
        return self._forecast().mean

    def limit_reached(self) -> Option | None:
        """Return which limit would be passed if one more trial were started; None if it fits."""
        return self._limit_passed_with(self._forecast())

    def has_room(self) -> bool:
        """Return whether a trial would still fit, while none can start yet."""
        return not self.budget.limits or self.limit_reached() is None

    def raise_if_spent(self) -> None:
        """Raise OutOfBudgetError if no trial would fit any more, while none can start yet."""
        if not self.has_room():
            raise OutOfBudgetError

    def _forecast(self) -> Forecast:
        whole, of_one = self.estimate, {}
        if whole is None:
            whole, of_one = self._ended.longest, self._longest
            if of_one:
                whole = statistics.fmean(of_one.values())
        at = self.clock()
        lasted = {i: self._seconds_of(i, at) for i in self._running if i != START}
        running = [max(seconds, of_one.get(i, whole or 0.0)) for i, seconds in lasted.items()]
        of_running = Lengths(running if whole is not None else ())
        return Forecast(self._ended, list(lasted.values()), of_running, len(self._waiting), whole)

    def _limit_passed_with(self, forecast: Forecast) -> Option | None:
        cost, rest, gpus = forecast.mean or 0.0, forecast.rest, self.resources.gpus
        return limit_passed(self.budget, self.spent, rest, cost, gpus)

    def may_start(self) -> bool:
        """Return whether another trial may be started now.

        Where nothing is known of what a trial costs, one is started and its first epoch awaited.
        """
        if not self.budget.limits:
            return True
        forecast = self._forecast()
        if forecast.mean is None and (self._running or self._waiting):
            return False
        return self._limit_passed_with(forecast) is None

    def may_wait(self) -> bool:
        """Return whether all trials that wait for their first allocation still fit into the budget.

        They were started when they did; since then time has passed without a machine for them, or
        others have needed more than was expected.
        """
        if not self.budget.limits or not self._waiting:
            return True
        forecast = self._forecast()
        return self._limit_passed_with(replace(forecast, waiting=forecast.waiting - 1)) is None

    def larger(self, trials: int) -> dict[Option, float]:
        """Return budgets that are enough for ``trials`` more, of those that are too small."""
        cost, found = self.expected, {}
        at_a_time = self.most_allocated if self.resources.grows else self.resources.slots
        rounds = math.ceil(trials / max(1, at_a_time))
        for option, limit in self.budget.limits.items():
            each = self.resources.gpus * trials if option == "budget_gpu_hours" else rounds
            used, needed = self.spent.hours(option), (cost or limit * HOUR) * each / HOUR
            if used + needed > limit:
                found[option] = enough(used, needed, limit)
        return found

    def stop_now(self, trials_left: int) -> Stop | None:
        """Return how the budget ends the sweep now; None if another trial may be started."""
        if (option := self.limit_reached()) is None:
            return None
        larger = {
            "--" + name.replace("_", "-"): f"{limit:g}"
            for name, limit in self.larger(trials_left).items()
        }
        limit = self.budget.limits[option]
        return Stop(option=option, limit=limit, resume_command=repeat_command(larger))

    def text(self) -> str:
        """Return what is used of the budget: ``0.21 of 0.5 GPU-hours``; empty without a budget."""
        return ", ".join(
            f"{self.spent.hours(option):.2g} of {limit:g} {UNITS[option]}"
            for option, limit in self.budget.limits.items()
        )

    def _seconds_of(self, trial_id: str, at: float) -> float:
        """Return how long a running trial has had places, in all of its processes."""
        since = self._running.get(trial_id)
        return self._used.get(trial_id, 0.0) + (0.0 if since is None else at - since)

    def _own(self) -> Spent:
        if self._since is None:
            return Spent()
        at = self.clock() if self._until is None else self._until
        running = sum(self._gpu_seconds_of(trial_id, at) for trial_id in list(self._running))
        return Spent(at - self._since, self._ended_gpu_seconds + running)

    def _gpu_seconds_of(self, trial_id: str, at: float) -> float:
        gpus = self.resources.start_gpus if trial_id == START else self.resources.gpus
        return gpus * self._seconds_of(trial_id, at)

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
    say: Callable[[str], None],
) -> Meter:  # fmt: skip
    """Return the meter of a sweep, with what a trial is expected to need if there is a budget.

    Raises:
        SystemExit: 2, if the first trial of all would pass the budget.
    """
    after = partial(after_training, plan)
    meter = Meter(records, plan.resources, budget, after_training=after)
    if not budget.limits:
        return meter
    estimate = estimate_time(plan, storage)
    if estimate is None:
        if meter.expected is None:
            say(
                "What a trial needs is not known: the first one runs alone until its first epoch "
                "ends."
            )
    else:
        meter.estimate = estimate.trial
        problem = too_small(plan, budget, estimate, start_is_kept)
        if problem and meter.spent == Spent():
            refuse([problem])
    return meter
