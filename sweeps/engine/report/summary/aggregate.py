"""From trials to one summary per point: means over seeds, their intervals, and the best point."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from gon_core.benchmarks import Benchmark, CorruptionSuite
from gon_core.config import DataConfig
from gon_core.intervals import Interval, percent_interval
from search_spaces.parameter import Parameter, Point
from sweeps.engine.records import Status, Stop, SweepDescription, SweepRecords, TrialResult
from sweeps.engine.report.summary import estimates
from sweeps.engine.report.summary.published import PublishedValues, read_published
from sweeps.engine.report.summary.space import CHECKPOINT, label, order, point_text
from sweeps.engine.search.ledger import Objectives

# The word for a status wherever there is little room. Only one of them may say converged.
SHORT_STATUS: dict[Status, str] = {
    **{status: status for status in get_args(Status)},
    "max_epochs": "epoch limit",
}
LONG_STATUS: dict[Status, str] = {
    **SHORT_STATUS,
    "max_epochs": "epoch limit reached, not converged",
    "evaluated": "given weights, evaluated",
}


@dataclass(frozen=True)
class PointSummary:
    """All trials of one point: one value of every searched parameter.

    Attributes:
        point: the values, in the order of the sweep's parameters.
        number: its place in the order of the search, from 1.
        trials: that ended, by seed.
        test: mean over the corruptions of the test images; None if no trial was measured.
        clean: the same without corruption.
        corruptions: mean test accuracy over seeds in percent, by corruption.
        objectives: mean over seeds of what the search maximises, in percent, by name; the ends of
            one seed's are NaN; empty if no trial was measured.
        is_complete: whether every seed of the sweep was measured, so that it may be the best.
        unattainable: mean over seeds of ``estimates.share_unattainable``, in percent.
    """

    point: Point
    number: int
    trials: tuple[TrialResult, ...]
    test: estimates.Estimate | None
    clean: estimates.Estimate | None
    corruptions: dict[str, float]
    objectives: dict[str, Interval]
    is_complete: bool
    unattainable: float | None

    @property
    def objective(self) -> Interval | None:
        """The mean accuracy over corrupted validation images; see ``objectives``."""
        return self.objectives.get("corrupted")

    @property
    def means(self) -> Objectives:
        """The mean objectives, in percent, in the sweep's order."""
        return tuple(interval.estimate for interval in self.objectives.values())

    @property
    def statuses(self) -> Counter[Status]:
        """How many trials ended how."""
        return Counter(trial.status for trial in self.trials)


@dataclass(frozen=True)
class SweepSummary:
    """Everything that the report says, before it is laid out.

    Attributes:
        description: what sweep.json says.
        benchmark: what the models are trained on, or given ones evaluated on.
        parameters: what is searched.
        points: one summary per point, in the order of ``space.order``.
        known: mean objectives by point that a joint search began with.
        missing: (point, seed) of the trials of the grid, and those started, that have not ended.
        published: the paper's figures for the same question; empty if there are none.
        baselines: one summary per method that was trained beside the search; its point is the
            method's name alone. None of them is ever the best.
        stopped: how the last driver was stopped by its budget; None if it was not.
    """

    description: SweepDescription
    benchmark: Benchmark
    parameters: tuple[Parameter, ...]
    points: tuple[PointSummary, ...]
    known: dict[Point, Objectives]
    missing: tuple[tuple[Point, int], ...]
    published: PublishedValues
    baselines: tuple[PointSummary, ...]
    stopped: Stop | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the searched parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def labels(self) -> tuple[str, ...]:
        """What pages call the searched parameters."""
        return tuple(map(label, self.parameters))

    @property
    def kind(self) -> str:
        """What pages call a point."""
        if self.has_checkpoints:
            return CHECKPOINT
        return "value" if len(self.parameters) == 1 else "point"

    @property
    def has_checkpoints(self) -> bool:
        """Whether the points are models that were trained already."""
        return self.labels == (CHECKPOINT,)

    @property
    def search(self) -> str:
        """How points were chosen: ``line``, ``grid`` or ``joint``."""
        return self.description.search

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of what the search maximises."""
        return self.description.objectives

    @property
    def trials(self) -> tuple[TrialResult, ...]:
        """All trials that ended, by point and seed."""
        return tuple(t for point in (*self.points, *self.baselines) for t in point.trials)

    @property
    def measured(self) -> tuple[PointSummary, ...]:
        """The points of which at least one trial was measured."""
        return tuple(point for point in self.points if point.test is not None)

    @property
    def compared(self) -> tuple[PointSummary, ...]:
        """The measured points and behind them the measured baselines."""
        return (*self.measured, *(point for point in self.baselines if point.test is not None))

    def is_baseline(self, point: Point) -> bool:
        """Whether a point is that of a method that was trained beside the search."""
        return len(point) == 1 and point[0] in self.description.baselines

    @cached_property
    def by_rank(self) -> tuple[PointSummary, ...]:
        """The complete points, the best first; then the others in the order of the search.

        A point with a lost seed does not compete: those that survive pruning would be favoured.
        """

        def rank(point: PointSummary) -> tuple[bool, float]:
            if point.is_complete and point.objective:
                return False, -point.objective.estimate
            return True, point.number

        return tuple(sorted(self.points, key=rank))

    @property
    def best(self) -> PointSummary | None:
        """The complete point with the highest mean objective, the first of equals, or None."""
        return next((point for point in self.by_rank if point.is_complete), None)

    @cached_property
    def front(self) -> tuple[PointSummary, ...]:
        """With two objectives, the complete points that no other surpasses in both."""
        complete = [point for point in self.points if point.is_complete]
        return pareto_front(complete) if len(self.objectives) > 1 else ()

    @cached_property
    def ranks(self) -> dict[Point, int]:
        """The place of each point in ``by_rank``, from 0."""
        return {point.point: rank for rank, point in enumerate(self.by_rank)}

    @property
    def suite(self) -> CorruptionSuite:
        """The corruptions of the test images."""
        return self.benchmark.suites["test"]

    @property
    def measure(self) -> str:
        """What the mean over corruptions is called."""
        return f"{self.suite.title} mean"

    def text(self, point: Point) -> str:
        """Return a point in words; a baseline is a method's name."""
        if self.is_baseline(point):
            return str(point[0])
        return point_text(self.parameters, point)


def summarise(records: SweepRecords) -> SweepSummary:
    """Return the summary of a sweep.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    if not (description := records.read_sweep()):
        raise FileNotFoundError(f"{records.folder.uri} has no sweep.json: it is not a sweep")
    if description.command:
        here = records.command_here(description.command, description.name)
        description = description.model_copy(update={"command": here})
    if (stopped := records.usage.stopped()) is not None:
        again = records.command_here(stopped.resume_command, description.name)
        stopped = stopped.model_copy(update={"resume_command": again})
    first, *_ = description.config.get("trials", [description.config])
    left_out = first.get("evaluation", {}).get("left_out", ())
    benchmark = DataConfig.model_validate(first.get("data", {})).benchmark.without(left_out)
    ended: dict[Point, list[TrialResult]] = {}
    for result in records.results():
        ended.setdefault(description.point_of(result.config), []).append(result)
    begun = records.trials().values()
    started = [(description.point_of(config), config.seed) for config in begun]
    baselines, numbers = description.baseline_points, description.numbers(begun)
    summaries = {
        point: _summarise_point(point, numbers.get(point, len(numbers) + 1), trials, description)
        for point, trials in ended.items()
    }
    planned = {(point, seed) for point in description.points for seed in description.seeds}
    done = {(point, trial.config.seed) for point, trials in ended.items() for trial in trials}
    missing = (planned | set(started)) - done

    def position(point: Point) -> tuple[tuple, ...]:
        return order(description.parameters, point)

    return SweepSummary(
        description=description,
        benchmark=benchmark,
        parameters=description.parameters,
        points=tuple(summaries[p] for p in sorted(ended, key=position) if p not in baselines),
        known=dict(description.known),
        missing=tuple(sorted(missing, key=lambda trial: (position(trial[0]), trial[1]))),
        published=read_published(description.published or {}, benchmark),
        baselines=tuple(summaries[point] for point in baselines if point in summaries),
        stopped=stopped,
    )


def _summarise_point(
    point: Point, number: int, trials: Sequence[TrialResult], description: SweepDescription
) -> PointSummary:
    names = description.objectives
    trials = sorted(trials, key=lambda trial: trial.config.seed)
    rows = [row for trial in trials for row in estimates.corrupted_rows(trial)]
    by_seed = {
        trial.config.seed: objectives
        for trial in trials
        if estimates.corrupted_rows(trial)
        and (objectives := estimates.finite_objectives(trial, names)) is not None
    }
    shares = [s for trial in trials if (s := estimates.share_unattainable(trial)) is not None]
    return PointSummary(
        point=point,
        number=number,
        trials=tuple(trials),
        test=estimates.estimate(trials, estimates.corrupted_rows),
        clean=estimates.estimate(trials, estimates.clean_rows),
        corruptions={
            name: statistics.fmean(row.value for row in rows if row.setting == name)
            for name in dict.fromkeys(row.setting for row in rows)
        },
        objectives={
            name: percent_interval(list(values))
            for name, values in zip(names, zip(*by_seed.values(), strict=True), strict=False)
        },
        is_complete=bool(by_seed) and by_seed.keys() >= set(description.seeds),
        unattainable=statistics.fmean(shares) if shares else None,
    )


def pareto_front(points: Sequence[PointSummary]) -> tuple[PointSummary, ...]:
    """Return the points that no other surpasses in both objectives, by the first."""
    front: list[Objectives] = []
    # What surpasses a point in the second objective as well comes before it.
    for means in sorted({point.means for point in points}, reverse=True):
        if not front or means[1] > front[-1][1]:
            front.append(means)
    kept = [point for point in points if point.means in front]
    return tuple(sorted(kept, key=lambda point: point.means))


def headline(summary: SweepSummary) -> dict[str, str]:
    """Return what a tracker shows of the whole sweep: its best point and accuracies, as text."""
    best = summary.best
    found = {"trials": str(len(summary.trials))}
    if best is not None and best.test is not None and best.objective is not None:
        found["best"] = summary.text(best.point)
        found["best_objective"] = f"{best.objective.estimate:.2f} %"
        found["best_test"] = f"{best.test.mean:.2f} %"
    for baseline in summary.baselines:
        if baseline.test is not None:
            found[f"baseline_{baseline.point[0]}"] = f"{baseline.test.mean:.2f} %"
    return found
