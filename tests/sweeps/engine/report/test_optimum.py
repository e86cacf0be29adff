"""The Pareto front: what it must hold, whatever the points."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sweeps.engine.report.summary.aggregate import pareto_front

ACCURACIES = st.tuples(st.integers(0, 6), st.integers(0, 6))


@dataclass(frozen=True)
class Point:
    means: tuple


def surpasses(one, other):
    return one != other and all(mine >= its for mine, its in zip(one, other, strict=True))


@given(st.lists(ACCURACIES, max_size=12))
def test_front_is_what_no_point_surpasses(accuracies):
    points = [Point(means) for means in accuracies]
    front = pareto_front(points)
    for point in points:
        surpassed = any(surpasses(other.means, point.means) for other in points)
        assert (point in front) != surpassed
    clean = [point.means[0] for point in front]
    corrupted = [point.means[1] for point in front]
    assert clean == sorted(clean) and corrupted == sorted(corrupted, reverse=True)
