"""What a sweep has used of its budget, and whether another trial fits into the rest.

Knows neither Ray nor the search: it listens to trials and is asked before each one.
"""

import contextlib
import math
import statistics
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from types import TracebackType
from typing import Self

from gon_core.config import TrialConfig
from sweeps.engine.planning.plan import Resources
from sweeps.engine.records import Stop, SweepRecords, TrialResult, Usage
from sweeps.engine.records.usage import UNITS, Option
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import now

HOUR = 3600.0
WRITE_SECONDS = 60.0  # between two writes; what a killed driver used after its last is not counted
MARGIN = 1.1  # of a proposed budget: what is left may take longer than what has ended
START = "start"  # the vanilla model, among the trials
ROUNDING = 1 + 1e-9  # a trial that just fits is not refused for the last bit of a sum


@dataclass(frozen=True)
class Budget:
    """What a sweep may use in all, by every driver that ever ran it.

    Attributes:
        gpu_hours: of its trials and of their vanilla model; None: no limit.
        hours: of wall time in which a driver ran; None: no limit.
    """

    gpu_hours: float | None = None
    hours: float | None = None

    @property
    def limits(self) -> dict[Option, float]:
        """The limits that were set, by option."""
        limits: dict[Option, float | None] = {
            "budget_gpu_hours": self.gpu_hours, "budget_hours": self.hours,
        }  # fmt: skip
        return {option: limit for option, limit in limits.items() if limit is not None}


class OutOfBudgetError(BaseException):
    """The budget has no room for a trial any more, before the first one could be started."""


@dataclass(frozen=True)
class Spent:
    """Time that was used, in seconds: wall time, and time of GPUs."""

    seconds: float = 0.0
    gpu_seconds: float = 0.0

    def hours(self, option: Option) -> float:
        """Return what counts against the limit of an option, in its unit."""
        return (self.gpu_seconds if option == "budget_gpu_hours" else self.seconds) / HOUR


def spent_before(records: SweepRecords) -> Spent:
    """Return what all drivers of a sweep have used so far."""
    return _sum(records.usage.read())


def _sum(usages: Sequence[Usage]) -> Spent:
    return Spent(sum(usage.seconds for usage in usages), sum(usage.gpu_seconds for usage in usages))


def whole_seconds(result: TrialResult) -> float:
    """Return how long a trial took, in one process or several: training and evaluation."""
    return sum(result.seconds.values())


def limit_passed(
    budget: Budget, spent: Spent, rest: float, cost: float, gpus: float
) -> Option | None:
    """Return which limit would be passed if one more trial were started; None if it fits.

    Args:
        budget: the limits.
        spent: by ended trials, and by running ones so far.
        rest: seconds that all running trials together are expected to need yet.
        cost: seconds that the further trial is expected to need.
        gpus: of each trial.
    """
    would_be = Spent(spent.seconds + cost, spent.gpu_seconds + gpus * (rest + cost))
    for option, limit in budget.limits.items():
        if would_be.hours(option) > limit * ROUNDING:
            return option
    return None


class Lengths:
    """How long trials are, in seconds, to be asked for a mean often.

    Args:
        values: one a trial, in any order.
    """

    def __init__(self, values: Sequence[float] = ()) -> None:
        self._values = sorted(values)
        self._sums = [0.0, *accumulate(self._values)]

    def above(self, length: float) -> tuple[int, float]:
        """Return how many trials are longer than ``length``, and the sum of these."""
        first = bisect_right(self._values, length)
        return len(self._values) - first, self._sums[-1] - self._sums[first]

    @property
    def longest(self) -> float | None:
        """The longest; None of none."""
        return self._values[-1] if self._values else None


def enough(used: float, needed: float, limit: float) -> float:
    """Return a budget that the rest of a sweep fits into, above ``limit``, in two digits.

    Args:
        used: so far, in the unit of the limit.
        needed: by the trials that are left.
        limit: the budget that was too small.
    """
    least = max(used + MARGIN * needed, MARGIN * limit)
    step = 10.0 ** (math.floor(math.log10(least)) - 1)
    return float(f"{math.ceil(least / step * (1 - 1e-9)) * step:.6g}")


@dataclass(frozen=True)
class _Forecast:
    """What is expected of trials at one moment, in seconds.

    Attributes:
        ended: how long trials were that have.
        lasted: how long each running one has had places.
        running: how long each of these is as a whole, at most; or has lasted, if that is more.
        waiting: how many have not had a place yet.
        whole: how long one of these is at most; None if nothing is known.
    """

    ended: Lengths
    lasted: list[float]
    running: Lengths
    waiting: int
    whole: float | None

    @property
    def mean(self) -> float | None:
        """How long a trial is expected to be that has not begun."""
        count, total = self._longer_than(0.0)
        return total / count if count else self.whole

    @property
    def rest(self) -> float:
        """What all running and waiting trials together are expected to need yet.

        Of each the mean of those that are longer than it has lasted: one that ASHA has not pruned
        so far is no short one.
        """
        rests = self.waiting * (self.mean or 0.0)
        for lasted in self.lasted:
            count, total = self._longer_than(lasted)
            rests += total / count - lasted if count else 0.0
        return rests

    def _longer_than(self, seconds: float) -> tuple[int, float]:
        found = [self.ended.above(seconds), self.running.above(seconds)]
        if self.whole is not None and self.whole > seconds:
            found.append((self.waiting, self.waiting * self.whole))
        return sum(count for count, _ in found), sum(total for _, total in found)


@dataclass
class Meter:
    """Counts what a sweep uses; as a context it keeps that in the records while the block runs.

    A trial occupies its GPU while a process of it has a place, with all that failed processes
    wasted; waiting for a machine, the first or another, costs nothing.

    Attributes:
        records: of the sweep.
        resources: of each trial.
        budget: the limits, if any.
        estimate: seconds that a whole trial is expected to need at most; None: not known.
        after_training: seconds that a trial needs after its last epoch, by its configuration and
            the seconds of training in an epoch; asked where there is no estimate.
        stop: set before the end of the block: why the driver ends before all trials have.
        clock: seconds, from any start.
        most_placed: trials that ever had a place at the same time.
    """

    records: SweepRecords
    resources: Resources
    budget: Budget
    estimate: float | None = None
    after_training: Callable[[TrialConfig, float], float] = lambda config, seconds: 0.0
    stop: Stop | None = None
    clock: Callable[[], float] = time.monotonic
    most_placed: int = 0
    _waiting: dict[str, None] = field(default_factory=dict)  # those that never had a place
    _running: dict[str, float | None] = field(default_factory=dict)  # since when it has its place
    _used: dict[str, float] = field(default_factory=dict)  # seconds, by processes that died
    _longest: dict[str, float] = field(default_factory=dict)  # of a whole trial, by its first epoch
    _ended_gpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        usages = self.records.usage.read()
        self._earlier = _sum(usages)
        # Without a budget nothing is asked: a store of many results need not be read for it.
        # Nor do trials tell how long others are that have another share of a GPU.
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
        """Listen: a trial is to run, as soon as there is a place."""
        self._waiting[config.trial_id] = None

    def placed(self, config: TrialConfig) -> None:
        """Take in that a process of the trial has its place, unless that is known."""
        if self._running.get(config.trial_id) is None:
            self._waiting.pop(config.trial_id, None)
            self._running[config.trial_id] = self.clock()
            has_place = sum(since is not None for since in self._running.values())
            self.most_placed = max(self.most_placed, has_place)

    def displaced(self, config: TrialConfig) -> None:
        """Take in that the process of the trial is gone, and the trial waits for a place again."""
        since = self._running.get(config.trial_id)
        if since is not None:
            used = self._used.get(config.trial_id, 0.0)
            self._used[config.trial_id] = used + self.clock() - since
            self._running[config.trial_id] = None

    def withdrawn(self, config: TrialConfig) -> None:
        """Take in that a trial that never had a place is not to run, for now."""
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
            # One that was carried on has taken longer than its last part.
            self._costs.append(max(seconds, whole_seconds(result)))
            if self.budget.limits:  # else nothing is asked
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

    def _forecast(self) -> _Forecast:
        whole, of_one = self.estimate, {}
        if whole is None:
            whole, of_one = self._ended.longest, self._longest
            if of_one:
                whole = statistics.fmean(of_one.values())
        at = self.clock()
        lasted = {i: self._seconds_of(i, at) for i in self._running if i != START}
        running = [max(seconds, of_one.get(i, whole or 0.0)) for i, seconds in lasted.items()]
        of_running = Lengths(running if whole is not None else ())
        return _Forecast(self._ended, list(lasted.values()), of_running, len(self._waiting), whole)

    def _limit_passed_with(self, forecast: _Forecast) -> Option | None:
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
        """Return whether all trials that wait for their first place still fit into the budget.

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
        at_a_time = self.most_placed if self.resources.grows else self.resources.slots
        rounds = math.ceil(trials / max(1, at_a_time))
        for option, limit in self.budget.limits.items():
            each = self.resources.gpus * trials if option == "budget_gpu_hours" else rounds
            used, needed = self.spent.hours(option), (cost or limit * HOUR) * each / HOUR
            if used + needed > limit:
                found[option] = enough(used, needed, limit)
        return found

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
