"""epsilon* under each kind of noise and accuracy under each attack, point by point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gon_core.intervals import Interval, mean_interval
from gon_core.measurement import Measurement
from search_spaces.parameter import value_text
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import PointSummary
from sweeps.engine.report.summary.estimates import Estimate, estimate

NOISES = ("gaussian", "uniform", "speckle", "adversarial_1x1", "adversarial_3x3")

Attack = tuple[str, str, float]
"""Its name, norm and size."""


@dataclass(frozen=True)
class Size:
    """The epsilon* of one point.

    Attributes:
        interval: mean over seeds with its 95 % t interval; the median's own for one seed.
        medians: of each seed, infinite where no size leads half of the images to another class.
        converged: whether all generators had.
    """

    interval: Interval
    medians: tuple[float, ...]
    converged: bool

    @property
    def text(self) -> str:
        """The number, or how many seeds never come to it."""
        if math.isfinite(self.interval.estimate):
            return f"{self.interval.estimate:.1f}"
        infinite = sum(map(math.isinf, self.medians))
        return "never" if infinite == len(self.medians) else f"never {infinite}/{len(self.medians)}"


def perturbation_title(trials: Sequence[TrialResult]) -> str:
    """Return the title of what was measured: epsilon*, accuracy under attack, or both."""
    sizes = "median perturbation size epsilon*" * any(t.of("epsilon_star") for t in trials)
    attacked = "accuracy under attack" * any(t.of("attacks") for t in trials)
    title = ", and ".join(filter(None, (sizes, attacked)))
    return title[:1].upper() + title[1:]


def noises_of(points: Sequence[PointSummary]) -> list[str]:
    """Return the kinds of noise of which points have an epsilon*, the known ones first."""
    trials = [trial for point in points for trial in point.trials]
    return in_order({row.setting for trial in trials for row in trial.of("epsilon_star")})


def in_order(noises: set[str]) -> list[str]:
    """Return the kinds of noise, the known ones first."""
    return [noise for noise in NOISES if noise in noises] + sorted(noises - set(NOISES))


def attacks_of(points: Sequence[PointSummary]) -> list[Attack]:
    """Return the attacks that points were measured under."""
    trials = [trial for point in points for trial in point.trials]
    return list(dict.fromkeys(_key(row) for trial in trials for row in trial.of("attacks")))


def attack_name(attack: Attack) -> str:
    """Return for example ``PGD linf 0.1``."""
    name, norm, size = attack
    return f"{name.upper()} {norm} {value_text(size)}"


def size_of(point: PointSummary, noise: str) -> Size | None:
    """Return a point's epsilon* under one kind of noise; None if it was not measured."""
    trials = point.trials
    rows = [row for t in trials for row in t.of("epsilon_star") if row.setting == noise]
    if not rows:
        return None
    medians = tuple(row.value for row in rows)
    return Size(mean_size(rows), medians, all(bool(row.number("converged")) for row in rows))


def mean_size(rows: Sequence[Measurement]) -> Interval:
    """Return the mean epsilon* of one kind of noise from the row of each seed; see ``Size``."""
    medians = [row.value for row in rows]
    if len(rows) == 1:
        return rows[0].interval
    if not all(map(math.isfinite, medians)):
        return Interval(math.inf, math.inf, math.inf)
    interval = mean_interval(medians)
    return interval._replace(low=max(0.0, interval.low))


def attack_accuracy_of(point: PointSummary, attack: Attack) -> Estimate | None:
    """Return a point's accuracy under one attack; None if it was not measured."""
    return estimate(
        point.trials,
        lambda trial: [row for row in trial.of("attacks") if _key(row) == attack][:1],
    )


def _key(row: Measurement) -> Attack:
    return row.setting, str(row.extra["norm"]), row.number("size") or 0.0
