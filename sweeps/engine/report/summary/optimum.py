"""Which points are best: the highest mean, and the front of those that none surpasses.

Points of which a seed is missing do not compete: those that survive pruning would be favoured.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from gon_core.evaluation import Interval
from sweeps.engine.search.ledger import Objectives


class Measured(Protocol):
    """A point measured with every seed."""

    @property
    def objective(self) -> Interval | None:
        """Mean accuracy on corrupted validation images, in percent."""
        ...

    @property
    def means(self) -> Objectives:
        """All objectives, in percent."""
        ...


P = TypeVar("P", bound=Measured)


def find_best(points: Sequence[P]) -> P | None:
    """Return the point with the highest mean objective, the first of equals; None of none."""
    # max returns the first of equals.
    return max(points, key=lambda p: p.objective.estimate if p.objective else 0.0, default=None)


def pareto_front(points: Sequence[P]) -> tuple[P, ...]:
    """Return the points that no other surpasses in all objectives, by the first objective."""
    means = [point.means for point in points]
    # Whatever surpasses a point comes before it, and is on the front or surpassed from there.
    front: list[Objectives] = []
    for candidate in sorted(set(means), reverse=True):
        if not any(dominates(other, candidate) for other in front):
            front.append(candidate)
    kept = set(front)
    found = [point for point, its in zip(points, means, strict=True) if its in kept]
    return tuple(sorted(found, key=lambda point: point.means))


def dominates(one: Objectives, other: Objectives) -> bool:
    """Return whether ``one`` is at least as good in every objective and better in some."""
    at_least = all(mine >= its for mine, its in zip(one, other, strict=True))
    return at_least and any(mine > its for mine, its in zip(one, other, strict=True))
