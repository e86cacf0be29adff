"""Points of any parameters: how they are read, ordered and written."""

import pyarrow as pa
import pytest

from search_spaces.parameter import Choice, Real, Whole, value_text
from sweeps.engine.report.summary import space
from sweeps.engine.report.summary.parquet import column_type
from tests.sweeps.engine.report.made_up import SPACES

WORDS = Choice("pace", values=("slow", "never", "fast", 3), unit="", paper="slow")


def test_words_come_behind_numbers():
    parameter = SPACES["reset"][0]
    values = ["never", 2.0, 0.1, 0.33]
    ordered = sorted(values, key=lambda value: space.value_order(parameter, value))
    assert ordered == [0.1, 0.33, 2.0, "never"]


def test_choice_in_an_order_of_its_own_keeps_it():
    values = [3, "other", "fast", "slow", 1, "never"]
    ordered = sorted(values, key=lambda value: space.value_order(WORDS, value))
    assert ordered == ["slow", "never", "fast", 3, 1, "other"]


def test_points_are_ordered_by_the_first_parameter_first():
    points = [(2, 3), (1, 1), (2, 1), (10, 1)]
    ordered = sorted(points, key=lambda point: space.order(SPACES["depth"], point))
    assert ordered == [(1, 1), (2, 1), (2, 3), (10, 1)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (10.0, "10"),
        (3, "3"),
        ("never", "never"),
        (1e-5, "1e-5"),
        (0.00052, "0.00052"),
    ],
)
def test_values_are_written_short(value, text):
    assert value_text(value) == text


def test_column_types():
    assert column_type(Real("x", 0, 1, 0.1, "", 0.5)) == pa.float64()
    assert column_type(Whole("x", 1, 5, "", 4)) == pa.int64()
    assert column_type(Choice("x", (1, 3), "", 1)) == pa.int64()
    assert column_type(Choice("x", (0.0, 0.2), "", 0.2)) == pa.float64()
    assert column_type(WORDS) == pa.string()


def test_a_point_in_words():
    assert space.point_text(SPACES["depth"], (2, 1)) == "depth 2, kernel_size 1"
