"""A parameter's steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.parameter import Choice, Real, Whole, contains, position


def parameter(step):
    """Return a parameter of this step."""
    return Real(name="x", low=0.0, high=2.0, step=step, unit="1", paper=0.5)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.25, 1.0]), st.floats(-3, 3), st.floats(0, 2))
def test_steps_are_all_multiples_within_the_bounds(step, low, width):
    high = low + width
    steps = parameter(step).steps(low, high)
    slack = 2e-6 * step
    assert all(low - slack <= value <= high + slack for value in steps)
    indices = [round(value / step) for value in steps]
    assert all(value == pytest.approx(i * step) for value, i in zip(steps, indices, strict=True))
    assert indices == [*range(indices[0], indices[-1] + 1)] if indices else True
    missing = {i for i in range(-3100, 5100) if low <= i * step <= high} - set(indices)
    assert not missing


@pytest.mark.parametrize(
    ("step", "low", "high", "expected"),
    [
        (0.1, 0.0, 0.3, [0.0, 0.1, 0.2, 0.3]),
        (0.1, 0.3, 0.3, [0.3]),
        (0.1, 0.31, 0.39, []),
        (0.1, 0.25, 0.45, [0.3, 0.4]),
        (0.01, 0.69, 0.71, [0.69, 0.7, 0.71]),
        (1.0, -1.5, 1.5, [-1.0, 0.0, 1.0]),
    ],
)
def test_steps_are_the_decimal_numbers_that_one_would_write(step, low, high, expected):
    assert parameter(step).steps(low, high) == expected


def test_bounds_that_are_multiples_belong_to_the_steps():
    for first in range(0, 200):
        for last in (first, first + 1, 200):
            steps = parameter(0.01).steps(first * 0.01, last * 0.01)
            assert steps == [round(i / 100, 2) for i in range(first, last + 1)]


def test_the_distribution_takes_any_value_between_its_bounds():
    distribution = parameter(0.1).distribution(0.38, 0.7)
    assert (distribution.low, distribution.high, distribution.step) == (0.38, 0.7, None)
    assert not distribution.log


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 2))
def test_the_nearest_step_is_in_range_and_at_most_half_a_step_away(value):
    nearest = parameter(0.1).nearest(value)
    assert 0 <= nearest <= 2 and abs(nearest - value) <= 0.05 + 1e-9
    assert nearest in parameter(0.1).steps(0, 2)


def test_what_a_space_contains():
    depth, kernel = Whole("depth", 1, 5, "1", 4), Choice("kernel", (1, 3, "never"), "1", 1)
    assert contains(depth, 5) and not contains(depth, 6) and not contains(depth, "never")
    assert contains(kernel, "never") and contains(kernel, 3.0) and not contains(kernel, 2)


def test_numbers_come_before_words():
    assert sorted([2.0, "never", 0.1, 1], key=position) == [0.1, 1, 2.0, "never"]
