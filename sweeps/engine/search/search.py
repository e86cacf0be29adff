"""Which point to run next: a grid's, a line search's, or a joint search's.

A line search runs a grid first and then lets Optuna refine between the two neighbours of the best
grid point. A joint search lets Optuna propose points in a whole space. A grid search proposes
nothing.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from search_spaces.parameter import Parameter, Point, Real
from sweeps.engine.search.ledger import Ledger, Objectives, PlannedTrial
from sweeps.engine.search.study import (
    complete_trial,
    known_trial,
    make_sampler,
    make_study,
    population_size,
)

if TYPE_CHECKING:
    from sweeps.engine.search.study import FrozenTrial

LOOKED_AT = 200
"""Points that a sampler looks at: the last ones, so that a proposal costs the same however many
there are. It depends on nothing but their number: a search that is rebuilt from its records
proposes what it would have proposed."""
ATTEMPTS = 100
STARTUP_POINTS = 5  # random ones, before a sampler of a joint search has anything to learn from

log = logging.getLogger(__name__)


@dataclass
class GridSearch:
    """The points of a grid, and no others."""

    ledger: Ledger

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        return not self.ledger.has_queued

    def next_trial(self) -> PlannedTrial | None:
        """Return the trial to run now."""
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

    def next_trial(self) -> PlannedTrial | None:
        """Return the trial to run now; None while results are still awaited."""
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

    def bracket(self) -> tuple[float, float] | None:
        """Return the grid points on both sides of the best one, or its range's end."""
        entries = self.ledger.entries.values()
        grid = sorted(_number(entry.point) for entry in entries if not entry.proposed)
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
        count = len(self.ledger.proposed)
        sampler = make_sampler(self.sampler, self.sampler_seed + count, startup=0)
        study, name, (low, high) = make_study(sampler, 1), self.parameter.name, bracket
        inside = [point for point in sorted(self.ledger.entries) if low <= _number(point) <= high]
        study.add_trials(known_trial(self.ledger, p, {name: distribution}) for p in inside)
        proposed = study.ask({name: distribution}).params[name]
        # A sampler that has converged repeats itself; the nearest untried step is worth more.
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
    _has_warned: bool = False

    @property
    def is_exhausted(self) -> bool:
        """Whether no further trial will be proposed."""
        return not self.ledger.has_queued and len(self.ledger.proposed) >= self.trials

    def next_trial(self) -> PlannedTrial | None:
        """Return the trial to run now; None once all were proposed."""
        if not self.ledger.has_queued and not self.is_exhausted:
            self.ledger.propose(self._proposal())
        return self.ledger.next_trial()

    def _proposal(self) -> Point:
        distributions: dict[str, Any] = {p.name: p.distribution() for p in self.space}
        count = len(self.ledger.proposed)
        for attempt in range(ATTEMPTS):
            seed = self.sampler_seed + count + 10_007 * attempt
            # A sampler that has converged repeats itself; a random point is worth more.
            name = self.sampler if attempt < 2 else "random"
            sampler = make_sampler(name, seed, STARTUP_POINTS, self.trials)
            study = make_study(sampler, self.objectives)
            if name != "random":  # which looks at nothing
                study.add_trials(self._known_trials(distributions))
            values = study.ask(distributions).params
            stepped = tuple(parameter.nearest(values[parameter.name]) for parameter in self.space)
            point = self.nearest_legal(stepped)
            if point not in self.ledger.entries:
                return point
        raise RuntimeError("every point of the space seems to have been tried already")

    def _known_trials(self, distributions: dict[str, Any]) -> "list[FrozenTrial]":
        entries, known = self.ledger.entries, self.known.items()
        forgotten = max(0, len(known) + len(entries) - LOOKED_AT)
        if forgotten and not self._has_warned:
            log.warning("from now on the sampler learns from the last %s points alone", LOOKED_AT)
            self._has_warned = True
        trials = [complete_trial(*each, distributions) for each in islice(known, forgotten, None)]
        # A genetic sampler counts generations, which it would note in a study of its own.
        complete, size = 0, population_size(self.trials)
        for point in islice(entries, max(0, forgotten - len(known)), None):
            generation = {"NSGAIISampler:generation": complete // size}
            trials.append(known_trial(self.ledger, point, distributions, generation))
            complete += trials[-1].state.name == "COMPLETE"
        return trials


Search = GridSearch | LineSearch | JointSearch
"""Proposes trials; how they ended is recorded in its ledger."""


def _number(point: Point) -> float:
    (value,) = point
    assert not isinstance(value, str)
    return value
