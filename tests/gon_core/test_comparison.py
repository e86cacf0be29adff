"""Paired tests against scipy's, and against sums by hand."""

import math
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gon_core.comparison import mcnemar_exact, paired_difference
from gon_core.intervals import standard_error

accuracies = st.integers(0, 10_000).map(lambda n: n / 100)
samples = st.dictionaries(st.integers(0, 30), st.tuples(accuracies, accuracies), min_size=2)


@pytest.mark.system
def test_comparing_needs_no_torch():
    code = (
        "import sys, gon_core.comparison; "
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(deadline=None)
@given(samples)
def test_paired_difference_is_scipys(pairs):
    first, second = ({seed: pair[i] for seed, pair in pairs.items()} for i in (0, 1))
    found = paired_difference(first, second)
    assert found.pairs == len(pairs)
    differences = [b - a for a, b in pairs.values()]
    if max(differences) - min(differences) < 1e-6:  # scipy has no answer for equal differences
        assert found.difference == pytest.approx((differences[0],) * 3, abs=1e-6)
        return
    expected = stats.ttest_rel([b for _, b in pairs.values()], [a for a, _ in pairs.values()])
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.difference.low == pytest.approx(interval.low, rel=1e-9, abs=1e-9)
    assert found.difference.high == pytest.approx(interval.high, rel=1e-9, abs=1e-9)
    # The interval leaves out 0 exactly where the test says 5 %.
    outside = not found.difference.low <= 0 <= found.difference.high
    assert outside == (found.p_value < 0.05) or abs(found.p_value - 0.05) < 1e-9


@settings(deadline=None)
@given(samples)
def test_the_order_of_the_configurations_turns_the_sign_alone(pairs):
    first, second = ({seed: pair[i] for seed, pair in pairs.items()} for i in (0, 1))
    one, other = paired_difference(first, second), paired_difference(second, first)
    estimate, low, high = other.difference
    assert one.difference == pytest.approx((-estimate, -high, -low), abs=1e-9)
    assert one.p_value == pytest.approx(other.p_value, rel=1e-6, nan_ok=True)


def test_a_hand_computed_difference():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t = 3.4641 with 2 degrees of freedom,
    # whose distribution function is 1/2 + t / (2 sqrt(2 + t^2)).
    found = paired_difference({0: 90.0, 1: 50.0, 2: 70.0}, {2: 73.0, 1: 52.0, 0: 91.0, 7: 4.0})
    t = 2 * math.sqrt(3)
    assert found.pairs == 3
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert found.difference == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_pairing_sees_what_the_seeds_hide():
    first = {seed: 50.0 + 10 * seed for seed in range(5)}
    second = {seed: value + 1 + 0.1 * (seed % 2) for seed, value in first.items()}
    assert paired_difference(first, second).p_value < 1e-4
    assert stats.ttest_ind([*first.values()], [*second.values()]).pvalue > 0.9


def test_limits_of_the_paired_test():
    one = paired_difference({3: 1.0}, {3: 2.5})
    assert one.difference.estimate == 1.5 and one.pairs == 1
    assert all(map(math.isnan, (one.difference.low, one.difference.high, one.p_value)))
    same = {0: 1.0, 1: 2.0}
    assert paired_difference(same, same) == ((0, 0, 0), 1, 2)
    shifted = paired_difference(same, {0: 2.0, 1: 3.0})
    assert shifted.difference == (1, 1, 1) and math.isnan(shifted.p_value)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {}, "no common seed"),
        ({0: 1.0}, {1: 1.0}, r"no common seed: \[0\] and \[1\]"),
        ({0: 1.0, 1: math.nan}, {0: 1.0, 1: 2.0}, r"seeds \[1\] are not"),
        ({0: 1.0}, {0: math.inf}, r"seeds \[0\] are not"),
    ],
)
def test_values_without_pairs_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_sum(b, c):
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    expected = min(Fraction(1), Fraction(2 * tail, 2 ** (b + c)))
    assert mcnemar_exact(b, c) == pytest.approx(float(expected), rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


@pytest.mark.parametrize(
    ("b", "c", "expected"),
    [(0, 0, 1), (1, 0, 1), (5, 0, 2 / 32), (0, 6, 2 / 64), (8, 1, 20 / 512), (300, 300, 1)],
)
def test_mcnemar_of_known_cases(b, c, expected):
    assert mcnemar_exact(b, c) == pytest.approx(expected)


@pytest.mark.parametrize(("b", "c"), [(120, 80), (5000, 5200), (9000, 100), (0, 10_000)])
def test_mcnemar_of_large_counts_is_scipys(b, c):
    expected = stats.binomtest(b, b + c, 0.5).pvalue
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("b", "c"), [(-1, 3), (3, -1)])
def test_negative_counts_are_refused(b, c):
    with pytest.raises(ValueError, match=f"got {b} and {c}"):
        mcnemar_exact(b, c)


@settings(deadline=None)
@given(st.lists(accuracies, min_size=2, max_size=12))
def test_standard_error_is_scipys(values):
    assert standard_error(values) == pytest.approx(stats.sem(values), rel=1e-9, abs=1e-9)


def test_standard_error_of_few():
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / math.sqrt(3))
    assert math.isnan(standard_error([4.0]))
    with pytest.raises(ValueError, match="at least one"):
        standard_error([])
