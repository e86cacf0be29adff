"""Which of very many points a sampler is told of: the best, and an even share of the others.

Optuna's TPE compares where the best points lie (at most 25 of them) with where all others do. What
a proposal costs grows with every point that it is told of, and what it learns from the others is
how densely they lie, which an even share of them shows as well.
"""

from collections.abc import Sequence
from typing import TypeVar

from sweeps.engine.search.ledger import Objectives

TOLD = 250
"""Points of which a sampler is told at most, when a study is begun anew."""
EVERY = 50
"""Points by which a study grows before it is begun anew."""
BEST = 25
"""Points that TPE takes as the good ones (``optuna.samplers._tpe.sampler.default_gamma``)."""

T = TypeVar("T")


def last_begin(points: int) -> int:
    """Return from how many points the study was last begun anew that now has ``points``.

    Depends on nothing but the number, so that a search which is rebuilt from its records proposes
    what it would have proposed, if one trial runs at a time; else it also matters which had ended.
    """
    return points // EVERY * EVERY if points >= TOLD + EVERY else 0


def told_of(means: Sequence[Objectives | None], must: Sequence[int] = ()) -> list[int]:
    """Return which points to tell of, in their order: at most ``TOLD``, or as many as ``must``.

    Args:
        means: one or two objectives of each point, larger is better, in the order in which the
            points were asked for; None for one that has none.
        must: points to tell of whatever they are.
    """
    measured = [index for index, mean in enumerate(means) if mean is not None]
    kept = {*must, *best_of(measured, [mean for mean in means if mean is not None])}
    others = [index for index in range(len(means)) if index not in kept]
    return sorted(kept.union(spread(others, max(TOLD - len(kept), 0))))


def best_of(points: Sequence[T], means: Sequence[Objectives]) -> list[T]:
    """Return the ``BEST`` points, the first of equals.

    With two objectives the points that none surpasses in both come first, then those that only
    these surpass, and so on; of the last such front that fits in part, points all along it.

    Args:
        points: whatever stands for them.
        means: their one or two objectives; larger is better.
    """
    left = sorted(range(len(points)), key=lambda index: means[index], reverse=True)
    if not means or len(means[0]) == 1:
        return [points[index] for index in left[:BEST]]
    found: list[int] = []
    while left and len(found) < BEST:
        front, surpassed = _front(left, means)
        found += spread(front, BEST - len(found))
        left = surpassed
    return [points[index] for index in found]


def _front(order: Sequence[int], means: Sequence[Objectives]) -> tuple[list[int], list[int]]:
    # In falling order of both objectives a point is surpassed only by one that comes before it.
    front, surpassed = [order[0]], []
    for index in order[1:]:
        mean, highest = means[index], means[front[-1]]
        on_front = mean[1] > highest[1] or mean == highest
        (front if on_front else surpassed).append(index)
    return front, surpassed


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return ``count`` items at even distances, the last among them; all if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[(number + 1) * len(items) // count - 1] for number in range(count)]
