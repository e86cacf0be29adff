"""Which epsilon of 3x3 kernels makes the training as hard as that of 1x1 kernels at theirs?

Appendix B chooses 70 for ANT 3x3 so: "to maintain a similar training losses and accuracies for
ANT 1x1 and ANT 3x3".
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from gon_core.comparison import paired_difference
from gon_core.intervals import Interval, mean_interval, percent_interval
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary

KINDS = {"train_loss": "training loss", "train_accuracy": "training accuracy"}
"""By name in a trial's history, what is to match."""


@dataclass(frozen=True)
class Training:
    """The last epoch's training of a point, mean over seeds with its 95 % t interval.

    Attributes:
        point: whose.
        values: by a key of ``KINDS``; the ends of one seed's interval are NaN.
        differences: the same minus the reference's, over the seeds that both have; none of the
            reference itself, or without such a seed.
    """

    point: PointSummary
    values: dict[str, Interval]
    differences: dict[str, Interval]


@dataclass(frozen=True)
class TrainingMatch:
    """The training of every epsilon beside that of the reference."""

    reference: Training
    points: tuple[Training, ...]

    def nearest(self, kind: str) -> Training:
        """Return the epsilon whose value is nearest to the reference's; the first of equals."""
        compared = [point for point in self.points if point.differences]
        return min(compared, key=lambda point: abs(point.differences[kind].estimate))

    def crossing(self, kind: str) -> float | None:
        """Return where the line through the means crosses the reference's; None if nowhere."""
        found = [
            (float(each.point.point[0]), each.differences[kind].estimate)
            for each in self.points
            if each.differences
        ]
        for (left, before), (right, after) in pairwise(found):
            if before == 0 or before * after < 0:
                return left + (right - left) * before / (before - after)
        return found[-1][0] if found[-1][1] == 0 else None


def match_training(summary: SweepSummary) -> TrainingMatch | None:
    """Return the comparison of a search for epsilon with its reference; None if it has none.

    The reference is a baseline that differs from what is searched in kernel size and epsilon alone.
    """
    fixed = summary.description.config.get("fixed", {})
    if summary.names != ("epsilon",) or fixed.get("kernel_size", 1) == 1:
        return None
    alike = {name: value for name, value in fixed.items() if name != "kernel_size"}
    for point in summary.baselines:
        fields = dict(summary.description.baselines[str(point.point[0])])
        fields.pop("epsilon", None)
        if fields == alike and (reference := _training(point)):
            found = tuple(each for p in summary.points if (each := _training(p, point)))
            return TrainingMatch(reference, found) if any(f.differences for f in found) else None
    return None


def _training(point: PointSummary, reference: PointSummary | None = None) -> Training | None:
    values, differences = {}, {}
    for kind in KINDS:
        ours = _by_seed(point, kind)
        if not ours:
            return None
        interval_of = mean_interval if kind == "train_loss" else percent_interval
        values[kind] = interval_of(list(ours.values()))
        theirs = {} if reference is None else _by_seed(reference, kind)
        if ours.keys() & theirs.keys():
            differences[kind] = paired_difference(theirs, ours).difference
    return Training(point, values, differences)


def _by_seed(point: PointSummary, kind: str) -> dict[int, float]:
    last = {
        trial.config.seed: trial.history[-1].get(kind, math.nan)
        for trial in point.trials
        if trial.is_measured and trial.history
    }
    return {seed: value for seed, value in last.items() if math.isfinite(value)}
