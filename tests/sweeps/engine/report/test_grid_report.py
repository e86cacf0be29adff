"""Grids: categories in order, a series for each further value."""

import io

import matplotlib
import pytest
from pyarrow import parquet

from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.figures.style import STYLE
from sweeps.engine.report.summary.aggregate import summarise
from tests.sweeps.engine.report.made_up import SPACES, ant_result

pytestmark = pytest.mark.system


def draw(records):
    with matplotlib.rc_context(STYLE):
        return draw_accuracy(summarise(records)).axes[0]


def test_words_are_the_last_category_and_not_joined(sweeps):
    axes = draw(sweeps("reset"))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.33", "1", "never"]
    joined = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 1.6]
    assert [list(x) for x in joined] == [[0.0, 1.0, 2.0]]
    labels = axes.get_legend_handles_labels()[1]
    assert labels.count("published, at paper scale") == 1
    assert any(text.get_text() == "best on validation: 0.33" for text in axes.texts)


def test_second_parameter_makes_series(sweeps):
    axes = draw(sweeps("depth"))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4", "5"]
    labels = axes.get_legend_handles_labels()[1]
    assert "kernel_size 1: mean over seeds, 95 % t interval" in labels
    assert "kernel_size 3: one seed, 95 % interval over images" in labels
    assert "failed, not measured (3)" in labels
    joined = {line.get_color(): line for line in axes.lines if line.get_linewidth() == 1.6}
    assert len(joined) == 2


def test_tables_have_a_column_for_each_parameter(sweeps):
    text = (sweeps("depth").folder / "report").read("table.md").decode()
    assert "| # | depth | kernel size |  | mean |" in text
    assert "| **#4** | **4** | **1** | **best** | **84.6** |" in text
    assert "Best: depth 4, kernel_size 1, chosen by" in text
    page = (sweeps("depth").folder / "report").read("report.html").decode()
    assert '<th scope="col" class="number">kernel size</th>' in page


def test_parquet_keeps_the_types(sweeps):
    table = parquet.read_table(io.BytesIO(sweeps("depth").folder.read("results.parquet")))
    assert str(table.schema.field("depth").type) == "int64"
    points = zip(table["depth"].to_pylist(), table["kernel_size"].to_pylist(), strict=True)
    assert set(points) >= {(1, 1), (5, 3)}
    words = parquet.read_table(io.BytesIO(sweeps("reset").folder.read("results.parquet")))
    assert str(words.schema.field("reset_interval").type) == "string"
    assert set(words["reset_interval"].to_pylist()) == {"0.1", "0.33", "1", "never"}


@pytest.mark.parametrize("status", ["converged", "failed"])
def test_one_point_that_is_a_word(make_ant_sweep, status):
    top1 = 84.0 if status == "converged" else None
    results = [ant_result(status=status, top1=top1, reset_interval="never")]
    records = make_ant_sweep(
        results, SPACES["reset"], search="grid", published=None, seeds=1, grid=[["never"]]
    )
    axes = draw(records)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["never"]
