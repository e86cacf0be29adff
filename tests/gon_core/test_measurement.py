"""The row of every measure: its interval, and every bit through JSON."""

import math

import pytest

from gon_core.measurement import CLEAN, TOP1, Measurement, accuracy_row, select

SIZE = Measurement(
    measure="epsilon_star", split="test", setting="speckle", value=math.inf, count=4,
    extra={"low": 0.1 + 0.2, "high": math.inf, "never": 0, "per_image": True, "norm": "l2"},
)  # fmt: skip


def test_a_share_of_images_has_percent_and_its_binomial_interval():
    row = accuracy_row("test", "fog", 1, 764, 1000)
    assert row.value == row.interval.estimate == pytest.approx(76.4)
    assert math.isclose(row.interval.high - row.interval.low, 5.3, abs_tol=0.1)


def test_any_other_row_has_the_interval_that_was_found_with_it_or_none():
    assert SIZE.interval == (math.inf, 0.1 + 0.2, math.inf)
    plain = Measurement(measure="loss", split="test", setting=CLEAN, value=0.5, count=10)
    assert all(map(math.isnan, plain.interval[1:]))


@pytest.mark.parametrize("row", [SIZE, accuracy_row("validation", CLEAN, 0, 7, 9, 8)])
def test_a_row_comes_back_from_json_with_every_bit_and_type(row):
    again = Measurement.model_validate_json(row.model_dump_json())
    assert again == row and again.severity == row.severity
    assert [*map(type, again.extra.values())] == [*map(type, row.extra.values())]


def test_rows_are_selected_by_measure_and_split():
    rows = [SIZE, accuracy_row("test", "fog", 1, 1, 2), accuracy_row("validation", "fog", 1, 1, 2)]
    assert select(rows, TOP1) == rows[1:] and select(rows, TOP1, "validation") == rows[2:]
