"""From the accuracies of trials to a mean with its interval."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gon_core.intervals import (
    Interval,
    effective_count,
    percent_interval,
    shares_interval,
    wilson_interval,
)
from gon_core.measurement import CLEAN, TOP1, Measurement
from sweeps.engine.records import TrialResult


@dataclass(frozen=True)
class Estimate:
    """An accuracy in percent with its 95 % interval.

    Attributes:
        interval: over seeds of several trials (``percent_interval``), over images of one.
        trials: how many trials.
    """

    interval: Interval
    trials: int

    @property
    def mean(self) -> float:
        """The estimate itself, in percent."""
        return self.interval.estimate

    @property
    def half_width(self) -> str:
        """Half the width of the interval in points, as text; marked if it is not over seeds."""
        half = (self.interval.high - self.interval.low) / 2
        return f"{half:.1f}" + ("" if self.is_over_seeds else "*")

    @property
    def is_over_seeds(self) -> bool:
        """Whether the interval is over seeds; otherwise it is over the images of one trial."""
        return self.trials > 1


def estimate(
    trials: Iterable[TrialResult], rows_of: Callable[[TrialResult], Sequence[Measurement]]
) -> Estimate | None:
    """Return the mean over the trials that have rows, each the mean of its own; None of none."""
    measured = [(trial, rows) for trial in trials if (rows := rows_of(trial))]
    if not measured:
        return None
    if len(measured) == 1:
        return Estimate(interval_over_images(*measured[0]), 1)
    means = [statistics.fmean(row.value for row in rows) for _, rows in measured]
    return Estimate(percent_interval(means), len(means))


def interval_over_images(trial: TrialResult, rows: Sequence[Measurement]) -> Interval:
    """Return the mean accuracy of one trial over rows and its 95 % interval, in percent.

    Each image counts by its mean over the corruptions. Where the spread of these is not recorded
    it counts once, as right or wrong, which makes the interval too wide.
    """
    mean = statistics.fmean(row.value for row in rows)
    count = min(row.count for row in rows)
    if trial.spread is not None and len(rows) == len(corrupted_rows(trial)) > 1:
        return shares_interval(mean, trial.spread, count)
    return wilson_interval(round(mean / 100 * count), count)._replace(estimate=mean)


def certain_images(trials: Sequence[TrialResult], rows: Sequence[Measurement]) -> float:
    """Return how many right or wrong answers the mean of all corrupted rows of trials is worth.

    See ``interval_over_images``.
    """
    mean = statistics.fmean(row.value for row in rows)
    count = min(row.count for row in rows)
    spreads = [trial.spread for trial in trials if trial.spread is not None]
    if len(spreads) < len(trials):
        return float(count)
    return effective_count(mean, statistics.fmean(spreads), count)


def corrupted_rows(trial: TrialResult) -> list[Measurement]:
    """Return the trial's accuracies on corrupted test images."""
    return [row for row in trial.of(TOP1, "test") if row.setting != CLEAN]


def clean_rows(trial: TrialResult) -> list[Measurement]:
    """Return the trial's accuracy on clean test images: one row, or none."""
    return [row for row in trial.of(TOP1, "test") if row.setting == CLEAN]


def finite_objectives(trial: TrialResult, names: Sequence[str]) -> tuple[float, ...] | None:
    """Return the trial's objectives in percent, or None unless it has all and they are finite."""
    objectives = trial.objectives(names)
    return objectives if objectives and all(map(math.isfinite, objectives)) else None


def share_unattainable(trial: TrialResult) -> float | None:
    """Return the percentage of images that no noise could change by epsilon in the last epoch."""
    return trial.history[-1].get("share_unattainable") if trial.history else None
