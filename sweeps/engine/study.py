"""The only door to Optuna: which point to run next.

A *point* is one value of every searched parameter; it is run once per seed, and the sampler sees
the mean over its seeds. A line search runs a grid first and then lets Optuna refine between the two
neighbours of the best grid point.

Nothing here is stored: the study is rebuilt from the trial records.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search_spaces.parameter import Parameter
from sweeps.engine.records import Status

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

SAMPLERS = ("gp", "tpe", "random")


def make_sampler(name: str, seed: int) -> "BaseSampler":
    """Return Optuna's sampler of that name."""
    from optuna import samplers

    match name:
        case "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=0)
        case "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=3, constant_liar=True)
        case "random":
            return samplers.RandomSampler(seed=seed)
    raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


@dataclass
class Point:
    """One value of the searched parameter and what its seeds came to.

    Attributes:
        value: of the parameter.
        refined: whether Optuna proposed it; the others are the grid's.
        objectives: percent, by seed; None for a seed that was pruned, diverged or failed.
    """

    value: float
    refined: bool
    objectives: dict[int, float | None] = field(default_factory=dict)


@dataclass
class LineSearch:
    """A grid, then refinement around its best point, every point with the same seeds.

    Attributes:
        parameter: what is searched.
        grid: its values to run first.
        refinements: how many points Optuna adds.
        seeds: every point is run with each.
        sampler: a name in ``SAMPLERS``.
        sampler_seed: makes the proposals repeatable.
    """

    parameter: Parameter
    grid: Sequence[float]
    refinements: int
    seeds: Sequence[int]
    sampler: str
    sampler_seed: int

    def __post_init__(self) -> None:
        self.points = {value: Point(value, refined=False) for value in self.grid}
        self._queue = [(value, seed) for value in self.grid for seed in self.seeds]

    def adopt(self, value: float) -> None:
        """Take in a point that an earlier run of the same sweep refined to."""
        if value not in self.points:
            self.points[value] = Point(value, refined=True)
            self._queue += [(value, seed) for seed in self.seeds]

    def tell(self, value: float, seed: int, status: Status, objective: float | None) -> None:
        """Take in how one trial ended; only an evaluated model counts for its point's mean."""
        measured = status in ("converged", "max_epochs")
        self.points[value].objectives[seed] = objective if measured else None
        if (value, seed) in self._queue:
            self._queue.remove((value, seed))

    def next_trial(self) -> tuple[float, int] | None:
        """Return the value and seed to run now; None while results are still awaited."""
        if not self._queue and not self.is_exhausted and self._grid_is_done:
            self._refine()
        return self._queue.pop(0) if self._queue else None

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        refined = sum(point.refined for point in self.points.values())
        if self._queue:
            return False
        return refined >= self.refinements or (self._grid_is_done and not self._untried())

    @property
    def _grid_is_done(self) -> bool:
        grid = [point for point in self.points.values() if not point.refined]
        return all(set(self.seeds) <= set(point.objectives) for point in grid)

    def mean(self, value: float) -> float | None:
        """Return the mean objective of a point, or None unless every seed was measured."""
        objectives = [self.points[value].objectives.get(seed) for seed in self.seeds]
        measured = [objective for objective in objectives if objective is not None]
        return sum(measured) / len(measured) if len(measured) == len(objectives) else None

    def best(self) -> float | None:
        """Return the value with the highest mean objective, or None before there is one."""
        known = {value: mean for value in self.points if (mean := self.mean(value)) is not None}
        return max(known, key=lambda value: known[value]) if known else None

    def bracket(self) -> tuple[float, float] | None:
        """Return the grid points on both sides of the best one, or its range's end."""
        grid = sorted(self.grid)
        means = {value: self.mean(value) for value in grid}
        known = {value: mean for value, mean in means.items() if mean is not None}
        if not known or len(grid) < 2:
            return None
        index = grid.index(max(known, key=lambda value: known[value]))
        return grid[max(index - 1, 0)], grid[min(index + 1, len(grid) - 1)]

    def _refine(self) -> None:
        bracket = self.bracket()
        assert bracket is not None, "refined without a bracket"
        distribution = self.parameter.distribution(*bracket)
        asked = sum(point.refined for point in self.points.values())
        import optuna  # here, so that the workers, which import this module, need not load it

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        sampler = make_sampler(self.sampler, self.sampler_seed + asked)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(self._known_trials(distribution))
        proposed = study.ask({self.parameter.name: distribution}).params[self.parameter.name]
        # A sampler that has converged repeats itself; the nearest untried step tells more.
        self.adopt(min(self._untried(), key=lambda value: abs(value - proposed)))

    def _untried(self) -> list[float]:
        bracket = self.bracket()
        steps = self.parameter.steps(*bracket) if bracket is not None else []
        return [value for value in steps if value not in self.points]

    def _known_trials(self, distribution: "FloatDistribution") -> "list[FrozenTrial]":
        from optuna.trial import TrialState, create_trial

        trials = []
        for value, point in sorted(self.points.items()):
            if not distribution.low <= value <= distribution.high:
                continue
            mean = self.mean(value)
            if mean is not None:
                state = TrialState.COMPLETE
            elif set(self.seeds) <= set(point.objectives):
                state = TrialState.PRUNED
            else:
                state = TrialState.RUNNING
            trials.append(
                create_trial(
                    params={self.parameter.name: value},
                    distributions={self.parameter.name: distribution},
                    value=mean,
                    state=state,
                )
            )
        return trials
