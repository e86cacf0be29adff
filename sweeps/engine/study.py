"""The only door to Optuna: which point to run next.

A line search runs a grid first and then lets Optuna refine between the two neighbours of the best
grid point. A joint search lets Optuna propose points in a whole space. A grid search proposes
nothing. Nothing here is stored: the study is rebuilt from the trial records.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from search_spaces.parameter import Parameter, Point, Real
from sweeps.engine.ledger import Ledger, Objectives

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SAMPLERS = ("gp", "tpe", "nsga2", "random")
LINE_SAMPLERS = ("gp", "tpe", "random")  # a population cannot evolve in a handful of points
ATTEMPTS = 100
STARTUP_POINTS = 5  # random ones, before a sampler of a joint search has anything to learn from


class Search(Protocol):
    """Proposes trials; told of their ends through its ledger."""

    ledger: Ledger

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        ...

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now; None while results are still awaited."""
        ...


@dataclass
class GridSearch:
    """The points that were asked for, and no others."""

    ledger: Ledger

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        return not self.ledger.has_queued

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now."""
        return self.ledger.next_trial()


@dataclass
class LineSearch:
    """A grid of one real parameter, then refinement around its best point.

    Attributes:
        ledger: with the grid.
        parameter: what is searched.
        refinements: how many points Optuna adds.
        sampler: a name in ``LINE_SAMPLERS``.
        sampler_seed: makes the proposals repeatable.
    """

    ledger: Ledger
    parameter: Real
    refinements: int
    sampler: str
    sampler_seed: int

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now; None while results are still awaited."""
        if not self.ledger.has_queued and not self.is_exhausted and self.ledger.is_grid_settled:
            self._refine()
        return self.ledger.next_trial()

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        if self.ledger.has_queued:
            return False
        enough = len(self.ledger.proposed) >= self.refinements
        return enough or (self.ledger.is_grid_settled and not self._untried())

    @property
    def _grid(self) -> list[float]:
        entries = self.ledger.entries.values()
        return sorted(_number(entry.point) for entry in entries if not entry.proposed)

    def bracket(self) -> tuple[float, float] | None:
        """Return the grid points on both sides of the best one, or its range's end."""
        grid = self._grid
        means = {value: self.ledger.mean((value,)) for value in grid}
        known = {value: mean for value, mean in means.items() if mean is not None}
        if not known or len(grid) < 2:
            return None
        index = grid.index(max(known, key=lambda value: known[value]))
        return grid[max(index - 1, 0)], grid[min(index + 1, len(grid) - 1)]

    def _refine(self) -> None:
        bracket = self.bracket()
        assert bracket is not None, "refined without a bracket"
        distribution = self.parameter.distribution(*bracket)
        asked = len(self.ledger.proposed)
        sampler = make_sampler(self.sampler, self.sampler_seed + asked, startup=0)
        study = make_study(sampler, objectives=1)
        inside = [p for p in sorted(self.ledger.entries) if bracket[0] <= _number(p) <= bracket[1]]
        study.add_trials(
            [
                known_trial(self.ledger, point, {self.parameter.name: distribution})
                for point in inside
            ]
        )
        proposed = study.ask({self.parameter.name: distribution}).params[self.parameter.name]
        # A sampler that has converged repeats itself; the nearest untried step tells more.
        self.ledger.propose((min(self._untried(), key=lambda value: abs(value - proposed)),))

    def _untried(self) -> list[float]:
        bracket = self.bracket()
        steps = self.parameter.steps(*bracket) if bracket is not None else []
        return [value for value in steps if (value,) not in self.ledger.entries]


@dataclass
class JointSearch:
    """Points anywhere in a space of several parameters, proposed by Optuna.

    Attributes:
        ledger: with the points to begin with, if any.
        space: what is searched.
        trials: how many points Optuna adds.
        objectives: how many accuracies are maximised; with two, for their Pareto front.
        sampler: a name in ``SAMPLERS``.
        sampler_seed: makes the proposals repeatable.
        known: what earlier sweeps found, by point; the sampler learns from it.
        nearest_legal: from a proposed point to the one that is run instead.
    """

    ledger: Ledger
    space: Sequence[Parameter]
    trials: int
    objectives: int
    sampler: str
    sampler_seed: int
    known: Mapping[Point, Objectives]
    nearest_legal: Callable[[Point], Point] = tuple

    def __post_init__(self) -> None:
        self._growing: GrowingStudy | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        return not self.ledger.has_queued and len(self.ledger.proposed) >= self.trials

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now; None once all were proposed."""
        if not self.ledger.has_queued and not self.is_exhausted:
            self.ledger.propose(self._proposal())
        return self.ledger.next_trial()

    def _proposal(self) -> Point:
        distributions: dict[str, Any] = {p.name: p.distribution() for p in self.space}
        asked = len(self.ledger.proposed)
        for attempt in range(ATTEMPTS):
            seed = self.sampler_seed + asked + 10_007 * attempt
            # A sampler that has converged repeats itself; a random point tells more.
            name = self.sampler if attempt < 2 else "random"
            sampler = make_sampler(name, seed, STARTUP_POINTS, self.trials)
            values = self._ask(name, sampler, distributions)
            stepped = tuple(parameter.nearest(values[parameter.name]) for parameter in self.space)
            point = self.nearest_legal(stepped)
            if point not in self.ledger.entries:
                return point
        raise RuntimeError("every point of the space seems to have been tried already")

    def _ask(
        self, name: str, sampler: "BaseSampler", distributions: dict[str, Any]
    ) -> dict[str, Any]:
        if name == "tpe":
            if self._growing is None:
                earlier = self._earlier_trials(distributions)
                self._growing = GrowingStudy(sampler, self.objectives, earlier)
            return self._growing.ask(sampler, self.ledger, distributions)
        study = make_study(sampler, self.objectives)
        if name != "random":  # which looks at nothing
            study.add_trials(self._known_trials(distributions))
        return study.ask(distributions).params

    def _earlier_trials(self, distributions: dict[str, Any]) -> "list[FrozenTrial]":
        from optuna.trial import create_trial

        return [
            create_trial(
                params=dict(zip(distributions, point, strict=True)),
                distributions=distributions,
                values=list(objectives),
            )
            for point, objectives in self.known.items()
        ]

    def _known_trials(self, distributions: dict[str, Any]) -> "list[FrozenTrial]":
        # A genetic sampler counts generations, which it would note in a study of its own.
        trials, generation, members = self._earlier_trials(distributions), 0, 0
        size = population_size(self.trials)
        for point in self.ledger.entries:
            trial = known_trial(
                self.ledger, point, distributions, {"NSGAIISampler:generation": generation}
            )
            trials.append(trial)
            members += trial.state.name == "COMPLETE"
            if members == size:
                generation, members = generation + 1, 0
        return trials


class GrowingStudy:
    """A study that is told of each point once, and once more when it has ended.

    Told of all points anew, as others are, it would cost each proposal more than the sampler does.
    Only for samplers that look at nothing but the points and how they ended.

    Args:
        sampler: the first that will be asked.
        objectives: how many are maximised.
        earlier: what is known from earlier sweeps.
    """

    def __init__(
        self, sampler: "BaseSampler", objectives: int, earlier: "Sequence[FrozenTrial]"
    ) -> None:
        self._study = make_study(sampler, objectives)
        self._study.add_trials(earlier)
        self._added, self._count = 0, len(earlier)
        self._running: dict[Point, int] = {}

    def ask(
        self, sampler: "BaseSampler", ledger: Ledger, distributions: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what ``sampler`` proposes, as it would in a study made anew from the ledger."""
        from optuna.trial import TrialState

        for point, number in list(self._running.items()):
            if (trial := known_trial(ledger, point, distributions)).state != TrialState.RUNNING:
                self._study.tell(number, trial.values, trial.state)
                del self._running[point]
        for point in islice(ledger.entries, self._added, None):
            trial = known_trial(ledger, point, distributions)
            self._study.add_trial(trial)
            if trial.state == TrialState.RUNNING:
                self._running[point] = self._count
            self._count += 1
        self._added = len(ledger.entries)
        self._study.sampler = sampler
        asked = self._study.ask(distributions)
        # Another point may be run instead: what failed is what no sampler looks at.
        self._study.tell(asked, state=TrialState.FAIL)
        self._count += 1
        return asked.params


def make_sampler(name: str, seed: int, startup: int, trials: int = 0) -> "BaseSampler":
    """Return Optuna's sampler of that name.

    Args:
        name: one of ``SAMPLERS``.
        seed: of its proposals.
        startup: random points before it learns (a genetic sampler: its first generation).
        trials: how many points it will propose in all; sets the size of a generation.
    """
    from optuna import samplers

    match name:
        case "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)
        case "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=startup or 3, constant_liar=True)
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=population_size(trials))
        case "random":
            return samplers.RandomSampler(seed=seed)
    raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


def population_size(trials: int) -> int:
    """Return how many points make a generation: a fifth of all, but 4 to 50."""
    return max(4, min(50, trials // 5))


def make_study(sampler: "BaseSampler", objectives: int) -> "Study":
    """Return an empty study in memory that maximises."""
    import optuna  # here, so that the workers, which import this module, need not load it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    directions: Any = ["maximize"] * objectives
    return optuna.create_study(directions=directions, sampler=sampler)


def known_trial(
    ledger: Ledger,
    point: Point,
    distributions: dict[str, Any],
    attributes: dict[str, Any] | None = None,
) -> "FrozenTrial":
    """Return Optuna's view of a point: complete, pruned, failed, or still running.

    A diverged point is told as pruned, so that samplers learn to stay away from it. What failed
    says nothing about its point.
    """
    from optuna.trial import TrialState, create_trial

    mean = ledger.mean(point)
    if mean is not None:
        state = TrialState.COMPLETE
    else:
        failed = "failed" in ledger.entries[point].statuses.values()
        ended = TrialState.FAIL if failed else TrialState.PRUNED
        state = ended if ledger.is_settled(point) else TrialState.RUNNING
    return create_trial(
        params=dict(zip(distributions, point, strict=True)),
        distributions=distributions,
        values=list(mean) if mean is not None else None,
        state=state,
        system_attrs=attributes,
    )


def importances(
    space: Sequence[Parameter], known: Mapping[Point, Objectives], objective: int
) -> dict[str, float]:
    """Return how much of an objective's variation each parameter explains; they add up to 1.

    Args:
        space: the searched parameters.
        known: mean objectives by point; with fewer than four there is nothing to tell.
        objective: index of the objective.

    References:
        Hutter et al., "An efficient approach for assessing hyperparameter importance", 2014: a
        functional analysis of variance over a random forest, as Optuna implements it.
    """
    if len(known) < 4 or len({objectives[objective] for objectives in known.values()}) < 2:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    distributions: dict[str, Any] = {p.name: p.distribution() for p in space}
    study = make_study(make_sampler("random", 0, 0), 1)
    study.add_trials(
        [
            create_trial(
                params=dict(zip(distributions, point, strict=True)),
                distributions=distributions,
                values=[objectives[objective]],
            )
            for point, objectives in known.items()
        ]
    )
    return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))


def _number(point: Point) -> float:
    (value,) = point
    assert not isinstance(value, str)
    return value
