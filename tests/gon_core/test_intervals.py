"""Intervals against scipy's."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gon_core.evaluation import mean_interval, wilson_interval


@pytest.mark.parametrize(
    ("correct", "count", "expected"),
    [
        (8, 10, (80, 49.02, 94.33)),
        (0, 10, (0, 0, 27.75)),
        (10, 10, (100, 72.25, 100)),
        (1, 1, (100, 20.65, 100)),
        (9240, 10_000, (92.4, 91.86, 92.90)),
    ],
)
def test_wilson_interval_of_known_cases(correct, count, expected):
    assert wilson_interval(correct, count) == pytest.approx(expected, abs=0.005)


@settings(deadline=None)
@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_is_scipys(case):
    correct, count = case
    interval = wilson_interval(correct, count)
    low, high = stats.binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert interval.low == pytest.approx(100 * low, abs=1e-9)
    assert interval.high == pytest.approx(100 * high, abs=1e-9)
    assert 0 <= interval.low <= interval.estimate + 1e-9
    assert interval.estimate - 1e-9 <= interval.high <= 100
    mirror = wilson_interval(count - correct, count)
    assert mirror.low == pytest.approx(100 - interval.high, abs=1e-9)


@pytest.mark.parametrize(("correct", "count"), [(-1, 10), (11, 10), (0, 0), (1, 0), (0, -5)])
def test_impossible_counts_are_refused(correct, count):
    with pytest.raises(ValueError, match=f"got {correct} of {count}"):
        wilson_interval(correct, count)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000).map(lambda n: n / 100), min_size=2, max_size=12))
def test_mean_interval_is_scipys_student_t(values):
    interval = mean_interval(values)
    mean = low = high = sum(values) / len(values)
    if len(set(values)) > 1:
        low, high = stats.t.interval(0.95, len(values) - 1, mean, stats.sem(values))
    assert interval == pytest.approx((mean, low, high), rel=1e-9, abs=1e-9)


def test_mean_interval_of_a_known_case():
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_one_value_has_no_interval_and_none_no_mean():
    estimate, low, high = mean_interval([7.5])
    assert estimate == 7.5 and math.isnan(low) and math.isnan(high)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
