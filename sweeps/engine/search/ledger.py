"""Which points a search has asked for, each with every seed, and what came of them.

A *point* is one value of every searched parameter. Knows neither Optuna nor Ray.
"""

from collections import OrderedDict
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
        left: the seeds that have not ended.
        objectives: by seed; None for a seed that was pruned, diverged or failed.
        statuses: how each seed ended.
        mean: of the objectives; None unless every seed was measured.
    """

    point: Point
    proposed: bool
    left: set[int]
    objectives: dict[int, Objectives | None] = field(default_factory=dict)
    statuses: dict[int, Status] = field(default_factory=dict)
    mean: Objectives | None = None


class Ledger:
    """Points in the order in which they were asked for, and the trials still to run.

    Nothing that is asked of it for each trial takes longer the more trials there are.

    Args:
        points: asked for from the start.
        seeds: every point is run with each.
        baselines: points of other methods, which are run after ``points`` and never searched from.

    Attributes:
        entries: all points but the baselines.
        proposed: those of them that the search proposed, in order.
    """

    def __init__(
        self, points: Iterable[Point], seeds: Sequence[int], baselines: Iterable[Point] = ()
    ) -> None:
        self.seeds = tuple(seeds)
        self.entries = {point: Entry(point, False, set(seeds)) for point in points}
        self.proposed: list[Entry] = []
        self._baselines = tuple(baselines)
        self._unsettled = len(self.entries) if self.seeds else 0
        self._queue: OrderedDict[tuple[Point, int], None] = OrderedDict()
        for point in (*self.entries, *self._baselines):
            self._put(point)

    def _put(self, point: Point) -> None:
        self._queue.update(dict.fromkeys((point, seed) for seed in self.seeds))

    @property
    def has_queued(self) -> bool:
        """Whether a trial waits to be run."""
        return bool(self._queue)

    def propose(self, point: Point) -> None:
        """Add a point, unless it is known."""
        if point not in self.entries and point not in self._baselines:
            self.entries[point] = Entry(point, True, set(self.seeds))
            self.proposed.append(self.entries[point])
            self._put(point)

    def tell(self, point: Point, seed: int, status: Status, objectives: Objectives | None) -> None:
        """Take in how one trial ended; only an evaluated model counts for its point's mean."""
        measured = status in ("converged", "max_epochs")
        if point not in self._baselines:
            entry = self.entries[point]
            entry.objectives[seed] = objectives if measured else None
            entry.statuses[seed] = status
            if seed in entry.left:
                entry.left.remove(seed)
                self._unsettled -= not entry.proposed and not entry.left
            if not entry.left:
                entry.mean = _mean([entry.objectives[seed] for seed in self.seeds])
        self._queue.pop((point, seed), None)

    def next_trial(self) -> tuple[Point, int] | None:
        """Return the point and seed to run now, or None if no trial waits."""
        return self._queue.popitem(last=False)[0] if self._queue else None

    def put_back(self, point: Point, seed: int) -> None:
        """Take back a trial that was not begun; it is the next one."""
        self._queue[(point, seed)] = None
        self._queue.move_to_end((point, seed), last=False)

    @property
    def is_grid_settled(self) -> bool:
        """Whether every seed of every point that was asked for from the start has ended."""
        return not self._unsettled

    def is_settled(self, point: Point) -> bool:
        """Whether every seed of the point has ended."""
        return not self.entries[point].left

    def mean(self, point: Point) -> Objectives | None:
        """Return the mean objectives over seeds, or None unless every seed was measured."""
        return self.entries[point].mean


def _mean(told: Sequence[Objectives | None]) -> Objectives | None:
    measured = [objectives for objectives in told if objectives is not None]
    if len(measured) < len(told):
        return None
    return tuple(sum(values) / len(values) for values in zip(*measured, strict=True))
