"""The points of a search, each with every seed, and how they ended.

A *point* is one value of every searched parameter. Knows neither Optuna nor Ray.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gon_core.config import TrialConfig
from search_spaces.parameter import Point
from sweeps.engine.records import Status

Objectives = tuple[float, ...]
"""What the search maximises, in percent: one accuracy, or two."""


class PlannedTrial(NamedTuple):
    """A trial to run: its whole configuration, and the point of the search that it belongs to."""

    point: Point
    seed: int
    config: TrialConfig


@dataclass
class Entry:
    """One point and what its seeds came to.

    Attributes:
        point: values of the searched parameters.
        proposed: whether the search proposed it; the others are the grid.
        ended: how each seed ended, and its objectives; None unless it was measured.
        mean: of the objectives; None unless every seed was measured.
    """

    point: Point
    proposed: bool
    ended: dict[int, tuple[Status, Objectives | None]] = field(default_factory=dict)
    mean: Objectives | None = None


class Ledger:
    """Points in their order, and the trials still to run: the grid's seed by seed.

    No call for a trial takes longer the more trials there are.

    Args:
        points: the grid.
        seeds: every point is run with each.
        configure: from a point and a seed to the configuration of the trial.
        baselines: points of other methods, which are run after ``points`` and never searched from.

    Attributes:
        entries: all points but the baselines.
        proposed: those of them that the search proposed, in order.
    """

    def __init__(
        self,
        points: Iterable[Point],
        seeds: Sequence[int],
        configure: Callable[[Point, int], TrialConfig],
        baselines: Iterable[Point] = (),
    ) -> None:
        self.seeds, self._configure = tuple(seeds), configure
        self.entries = {point: Entry(point, False) for point in points}
        self.proposed: list[Entry] = []
        self._baselines = tuple(baselines)
        self._left_of_grid = len(self.entries) * len(self.seeds)  # trials
        self._queue: OrderedDict[tuple[Point, int], None] = OrderedDict()
        # Seed by seed: every point has a first figure after a part of the time.
        points = (*self.entries, *self._baselines)
        self._queue.update(dict.fromkeys((point, seed) for seed in self.seeds for point in points))

    @property
    def has_queued(self) -> bool:
        """Whether a trial waits to be run."""
        return bool(self._queue)

    def propose(self, point: Point) -> None:
        """Add a point, unless it is known."""
        if point not in self.entries and point not in self._baselines:
            self.entries[point] = Entry(point, True)
            self.proposed.append(self.entries[point])
            self._queue.update(dict.fromkeys((point, seed) for seed in self.seeds))

    def record(
        self, point: Point, seed: int, status: Status, objectives: Objectives | None
    ) -> None:
        """Record how one trial ended; only an evaluated model counts for its point's mean."""
        measured = status in ("converged", "max_epochs")
        if point not in self._baselines:
            entry = self.entries[point]
            self._left_of_grid -= not entry.proposed and seed not in entry.ended
            entry.ended[seed] = status, objectives if measured else None
            if self.is_settled(point):
                entry.mean = _mean([entry.ended[seed][1] for seed in self.seeds])
        self._queue.pop((point, seed), None)

    def next_trial(self) -> PlannedTrial | None:
        """Return the trial to run now, or None if none waits."""
        if not self._queue:
            return None
        point, seed = self._queue.popitem(last=False)[0]
        return PlannedTrial(point, seed, self._configure(point, seed))

    def put_back(self, point: Point, seed: int) -> None:
        """Queue a trial again that was not started; it is the next one."""
        self._queue[(point, seed)] = None
        self._queue.move_to_end((point, seed), last=False)

    @property
    def is_grid_settled(self) -> bool:
        """Whether every seed of every point of the grid has ended."""
        return not self._left_of_grid

    def is_settled(self, point: Point) -> bool:
        """Whether every seed of the point has ended."""
        return len(self.entries[point].ended) == len(self.seeds)

    def mean(self, point: Point) -> Objectives | None:
        """Return the mean objectives over seeds, or None unless every seed was measured."""
        return self.entries[point].mean


def _mean(found: Sequence[Objectives | None]) -> Objectives | None:
    measured = [objectives for objectives in found if objectives is not None]
    if len(measured) < len(found):
        return None
    return tuple(sum(values) / len(values) for values in zip(*measured, strict=True))
