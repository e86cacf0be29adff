"""Which points a search has asked for, each with every seed, and what came of them.

A *point* is one value of every searched parameter. Knows neither Optuna nor Ray.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from search_spaces.parameter import Point
from sweeps.engine.records import Status

Objectives = tuple[float, ...]
"""What the search maximises, in percent: one accuracy, or two."""


@dataclass
class Entry:
    """One point and what its seeds came to.

    Attributes:
        point: values of the searched parameters.
        proposed: whether the search proposed it; the others were asked for from the start.
        objectives: by seed; None for a seed that was pruned, diverged or failed.
        statuses: how each seed ended.
    """

    point: Point
    proposed: bool
    objectives: dict[int, Objectives | None] = field(default_factory=dict)
    statuses: dict[int, Status] = field(default_factory=dict)


class Ledger:
    """Points in the order in which they were asked for, and the trials still to run.

    Args:
        points: asked for from the start.
        seeds: every point is run with each.
        baselines: points of other methods, which are run after ``points`` and never searched from.
    """

    def __init__(
        self, points: Iterable[Point], seeds: Sequence[int], baselines: Iterable[Point] = ()
    ) -> None:
        self.seeds = tuple(seeds)
        self.entries = {point: Entry(point, proposed=False) for point in points}
        self._baselines = tuple(baselines)
        asked = (*self.entries, *self._baselines)
        self._queue = [(point, seed) for point in asked for seed in self.seeds]

    @property
    def proposed(self) -> list[Entry]:
        """The points that the search proposed, in order."""
        return [entry for entry in self.entries.values() if entry.proposed]

    @property
    def has_queued(self) -> bool:
        """Whether a trial waits to be run."""
        return bool(self._queue)

    def propose(self, point: Point) -> None:
        """Add a point, unless it is known."""
        if point not in self.entries and point not in self._baselines:
            self.entries[point] = Entry(point, proposed=True)
            self._queue += [(point, seed) for seed in self.seeds]

    def tell(self, point: Point, seed: int, status: Status, objectives: Objectives | None) -> None:
        """Take in how one trial ended; only an evaluated model counts for its point's mean."""
        measured = status in ("converged", "max_epochs")
        if point not in self._baselines:
            self.entries[point].objectives[seed] = objectives if measured else None
            self.entries[point].statuses[seed] = status
        if (point, seed) in self._queue:
            self._queue.remove((point, seed))

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now, or None if no trial waits."""
        return self._queue.pop(0) if self._queue else None

    def is_settled(self, point: Point) -> bool:
        """Whether every seed of the point has ended."""
        return set(self.seeds) <= set(self.entries[point].objectives)

    def mean(self, point: Point) -> Objectives | None:
        """Return the mean objectives over seeds, or None unless every seed was measured."""
        told = [self.entries[point].objectives.get(seed) for seed in self.seeds]
        measured = [objectives for objectives in told if objectives is not None]
        if not told or len(measured) < len(told):
            return None
        return tuple(sum(values) / len(values) for values in zip(*measured, strict=True))
