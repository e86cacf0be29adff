"""Intervals against scipy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gon_core.evaluation import mean_interval, wilson_interval
from gon_core.intervals import effective_count, percent_interval, shares_interval


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


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=5))
def test_an_interval_of_percentages_stays_among_them_and_holds_the_mean(values):
    estimate, low, high = percent_interval(values)
    assert estimate == pytest.approx(sum(values) / len(values))
    assert 0 <= low <= estimate <= high <= 100


def test_for_seeds_that_are_near_each_other_it_is_students():
    values = [69.5, 70.2, 70.6]
    assert percent_interval(values) == pytest.approx(mean_interval(values), abs=0.02)


def test_two_seeds_far_apart_have_a_wide_interval_and_no_impossible_one():
    _, low, high = percent_interval([33.8, 51.0])  # -66.9 to 151.6 on the scale of percent
    assert low == 0 and high == 100


def coverage(interval_of, mean, draws=600):
    """Return how often an interval of one model holds the mean over all images."""
    stream = np.random.default_rng(0)
    held = 0
    for _ in range(draws):
        # The right answers under 15 corruptions depend on the image: easy and hard ones.
        ease = stream.beta(1.2, 0.8, size=1000)
        shares = 100 * stream.binomial(15, ease) / 15
        _, low, high = interval_of(shares)
        held += low <= mean <= high
    return held / draws


def test_the_interval_over_images_covers_95_percent_and_a_binomial_one_all():
    mean = 100 * 1.2 / 2.0

    def of_shares(shares):
        return shares_interval(float(shares.mean()), float(shares.std(ddof=1)), len(shares))

    def binomial(shares):
        return wilson_interval(round(shares.mean() / 100 * len(shares)), len(shares))

    assert coverage(of_shares, mean) == pytest.approx(0.95, abs=0.025)
    assert coverage(binomial, mean) > 0.985


def test_right_or_wrong_answers_are_worth_themselves():
    deviation = 100 * math.sqrt(0.7 * 0.3)
    assert effective_count(70.0, deviation, 500) == pytest.approx(500)
    assert shares_interval(70.0, deviation, 500) == pytest.approx(wilson_interval(350, 500))
    assert effective_count(70.0, deviation / 2, 500) == pytest.approx(2000)
    assert effective_count(100.0, 0.0, 500) == 500
