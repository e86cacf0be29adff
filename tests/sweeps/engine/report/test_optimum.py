"""The Pareto front: what it must hold, whatever the points."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gon_core.evaluation import Interval
from sweeps.engine.report.summary.optimum import dominates, find_best, pareto_front

ACCURACIES = st.tuples(st.integers(0, 6), st.integers(0, 6))


@dataclass(frozen=True)
class Point:
    means: tuple

    @property
    def objective(self):
        return Interval(self.means[-1], 0.0, 0.0)


@given(st.lists(ACCURACIES, max_size=12))
def test_front_is_what_no_point_surpasses(accuracies):
    points = [Point(means) for means in accuracies]
    front = pareto_front(points)
    for point in points:
        surpassed = any(dominates(other.means, point.means) for other in points)
        assert (point in front) != surpassed
    clean = [point.means[0] for point in front]
    corrupted = [point.means[1] for point in front]
    assert clean == sorted(clean) and corrupted == sorted(corrupted, reverse=True)


@given(st.lists(ACCURACIES, min_size=1, max_size=12))
def test_best_is_the_first_of_the_highest(accuracies):
    points = [Point(means) for means in accuracies]
    highest = max(corrupted for _, corrupted in accuracies)
    best = find_best(points)
    assert best is next(point for point in points if point.means[1] == highest)


def test_nothing_has_no_best():
    assert find_best([]) is None and pareto_front([]) == ()
