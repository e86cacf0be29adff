"""From trials to one summary per value: means over seeds, their intervals, and the best value."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gon_core.config import TrialConfig
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import AccuracyRow, Interval, mean_interval, wilson_interval
from sweeps.engine.records import Status, SweepRecords, TrialResult
from sweeps.engine.report.published import Published, read_published

CLEAN = "clean"
REQUIRED = ("name", "title", "created", "scale", "parameter", "seeds", "grid")

# The word for a status wherever there is little room. Only one of them may say converged.
SHORT_STATUS: dict[Status, str] = {
    "converged": "converged",
    "max_epochs": "budget",
    "pruned": "pruned",
    "diverged": "diverged",
    "failed": "failed",
}
LONG_STATUS: dict[Status, str] = {**SHORT_STATUS, "max_epochs": "budget ended, not converged"}


@dataclass(frozen=True)
class Estimate:
    """An accuracy in percent with its 95 % interval.

    Attributes:
        interval: over seeds (Student t) of several trials; over images (binomial) of one trial.
        trials: how many trials.
    """

    interval: Interval
    trials: int

    @property
    def mean(self) -> float:
        """The estimate itself, in percent."""
        return self.interval.estimate

    @property
    def half_width(self) -> float:
        """Half the width of the interval, in percentage points."""
        return (self.interval.high - self.interval.low) / 2

    @property
    def is_over_seeds(self) -> bool:
        """Whether the interval tells the spread of seeds; else that of the images of one trial."""
        return self.trials > 1


@dataclass(frozen=True)
class ValueSummary:
    """All trials of one value of the searched parameter.

    Attributes:
        value: of the parameter.
        trials: that ended, by seed.
        test: mean over the corruptions of the test images; None if no trial was measured.
        clean: the same without corruption.
        corruptions: mean test accuracy over seeds in percent, by corruption.
        objective: mean over seeds of what the search maximises, in percent; NaN ends for one seed.
        is_complete: whether every seed of the sweep was measured, so that it may be the best.
    """

    value: float
    trials: tuple[TrialResult, ...]
    test: Estimate | None
    clean: Estimate | None
    corruptions: dict[str, float]
    objective: Interval | None
    is_complete: bool

    @property
    def statuses(self) -> Counter[Status]:
        """How many trials ended how."""
        return Counter(trial.status for trial in self.trials)


@dataclass(frozen=True)
class SweepSummary:
    """Everything that the report says, before it is laid out.

    Attributes:
        description: what sweep.json says.
        parameter: name of the searched parameter.
        values: one summary per value, ascending.
        best: the value with the highest mean objective of those measured with all seeds, or None.
        missing: (value, seed) of the trials of the grid, and those begun, that have not ended.
        published: the paper's figures for the same question; empty if there are none.
    """

    description: dict[str, Any]
    parameter: str
    values: tuple[ValueSummary, ...]
    best: ValueSummary | None
    missing: tuple[tuple[float, int], ...]
    published: Published

    @property
    def trials(self) -> tuple[TrialResult, ...]:
        """All trials that ended, by value and seed."""
        return tuple(trial for value in self.values for trial in value.trials)

    @property
    def measured(self) -> tuple[ValueSummary, ...]:
        """The values of which at least one trial was measured."""
        return tuple(value for value in self.values if value.test is not None)

    @property
    def measure(self) -> str:
        """What the mean over corruptions is called."""
        datasets = {trial.config.data.dataset for trial in self.trials}
        is_mnist = datasets == {"mnist"} if datasets else self.published.figure is not None
        return "MNIST-C mean" if is_mnist else "Corruption mean"


def summarise(records: SweepRecords) -> SweepSummary:
    """Return the summary of a sweep.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    description = records.read_sweep()
    if description is None:
        raise FileNotFoundError(f"{records.folder.uri} has no sweep.json: it is not a sweep")
    if absent := [key for key in REQUIRED if key not in description]:
        raise ValueError(f"sweep.json must have {', '.join(REQUIRED)}; absent: {absent}")
    name = description["parameter"]["name"]
    results = sorted(
        records.results(),
        key=lambda result: (parameter_value(result.config, name), result.config.seed),
    )
    by_value: dict[float, list[TrialResult]] = {}
    for result in results:
        by_value.setdefault(parameter_value(result.config, name), []).append(result)
    seeds = description["seeds"]
    values = tuple(summarise_value(value, group, seeds) for value, group in by_value.items())
    ended = {(parameter_value(result.config, name), result.config.seed) for result in results}
    begun = {(parameter_value(c, name), c.seed) for c in records.trials().values()}
    asked = {(float(value), seed) for value in description["grid"] for seed in seeds}
    return SweepSummary(
        description=description,
        parameter=name,
        values=values,
        best=find_best(values),
        missing=tuple(sorted((asked | begun) - ended)),
        published=read_published(description.get("published")),
    )


def parameter_value(config: TrialConfig, name: str) -> float:
    """Return the trial's value of the searched parameter."""
    return float(getattr(config.method, name))


def summarise_value(
    value: float, trials: Sequence[TrialResult], seeds: Sequence[int]
) -> ValueSummary:
    """Return the means of the trials of one value.

    Args:
        value: of the parameter.
        trials: that ended, measured or not.
        seeds: those that the sweep asks of every value.
    """
    measured = [trial for trial in trials if corrupted_rows(trial)]
    objectives = {
        trial.config.seed: objective
        for trial in measured
        if (objective := finite_objective(trial)) is not None
    }
    by_corruption: dict[str, list[float]] = {name: [] for name in CORRUPTIONS}
    for trial in measured:
        for row in corrupted_rows(trial):
            by_corruption.setdefault(row.corruption, []).append(row.top1)
    return ValueSummary(
        value=value,
        trials=tuple(trials),
        test=estimate([corrupted_rows(trial) for trial in measured]),
        clean=estimate([rows for trial in measured if (rows := clean_rows(trial))]),
        corruptions={name: statistics.fmean(top1) for name, top1 in by_corruption.items() if top1},
        objective=mean_interval(list(objectives.values())) if objectives else None,
        is_complete=bool(objectives) and objectives.keys() >= set(seeds),
    )


def find_best(values: Sequence[ValueSummary]) -> ValueSummary | None:
    """Return the value with the highest mean objective, the least of equals, or None.

    Values of which a seed is missing do not compete: those that survive pruning would be favoured.
    """
    best: ValueSummary | None = None
    highest = -math.inf
    for value in values:
        if value.is_complete and value.objective and value.objective.estimate > highest:
            best, highest = value, value.objective.estimate
    return best


def finite_objective(trial: TrialResult) -> float | None:
    """Return the trial's objective in percent, or None if it has none or it is not finite."""
    objective = trial.objective
    return objective if objective is not None and math.isfinite(objective) else None


def corrupted_rows(trial: TrialResult) -> list[AccuracyRow]:
    """Return the trial's accuracies on corrupted test images."""
    return [row for row in trial.rows if row.split == "test" and row.corruption != CLEAN]


def clean_rows(trial: TrialResult) -> list[AccuracyRow]:
    """Return the trial's accuracy on clean test images: one row, or none."""
    return [row for row in trial.rows if row.split == "test" and row.corruption == CLEAN]


def estimate(rows_of_trials: Sequence[Sequence[AccuracyRow]]) -> Estimate | None:
    """Return the mean accuracy over trials; None for no trial.

    Args:
        rows_of_trials: for each trial, the rows whose plain mean is its accuracy.
    """
    if not rows_of_trials:
        return None
    if len(rows_of_trials) == 1:
        return Estimate(binomial_interval(rows_of_trials[0]), 1)
    means = [statistics.fmean(row.top1 for row in rows) for rows in rows_of_trials]
    return Estimate(mean_interval(means), len(means))


def binomial_interval(rows: Sequence[AccuracyRow]) -> Interval:
    """Return the mean accuracy of one trial and its 95 % Wilson interval, in percent.

    The corrupted copies of one image are not independent, so that every image counts once: with
    all copies counted the interval would be too narrow.
    """
    mean = statistics.fmean(row.top1 for row in rows)
    count = min(row.count for row in rows)
    return wilson_interval(round(mean / 100 * count), count)._replace(estimate=mean)
