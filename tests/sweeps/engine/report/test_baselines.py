"""Methods that were trained beside a search stand in its tables, figures and files, never best."""

import io

import pyarrow.parquet as pq
import pytest

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import GNT
from sweeps.engine.report import write_report
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.summary.aggregate import headline, summarise
from sweeps.engine.report.tables.comparisons import compare
from sweeps.engine.report.tables.points import build_points
from tests.sweeps.engine.report.made_up import (
    JOINT,
    SPACES,
    depth_grid,
    joint_search,
    result,
    write_sweep,
)

BASELINES = {
    name: MNIST.methods[name].model_dump(mode="json") for name in ("vanilla", "pgd", "ant_1x1")
}


@pytest.fixture
def sweep(tmp_path):
    """Return a search for sigma with baselines, one of them better than every sigma."""
    trials = [
        result(GNT(sigma=s), seed, "converged", 80 + s) for s in (0.2, 0.5) for seed in (0, 1)
    ]
    trials += [result(MNIST.methods["vanilla"], seed, "converged", 70.0 + seed) for seed in (0, 1)]
    trials += [
        result(MNIST.methods["pgd"], 0, "converged", 97.0),
        result(MNIST.methods["pgd"], 1, "failed", None),
    ]
    return write_sweep(tmp_path / "sweep", trials, baselines=BASELINES, seeds=2)


def test_a_baseline_is_summarised_beside_the_points_and_is_never_the_best(sweep):
    summary = summarise(sweep)
    assert [point.point for point in summary.points] == [(0.2,), (0.5,)]
    assert [point.point for point in summary.baselines] == [("vanilla",), ("pgd",)]
    assert summary.best is not None and summary.best.point == (0.5,)
    assert len(summary.trials) == 8
    assert summary.missing == ((("ant_1x1",), 0), (("ant_1x1",), 1))
    assert headline(summary)["baseline_vanilla"] == "70.50 %"
    assert [point.number for point in summary.points] == [1, 2]


def test_the_table_ends_with_the_baselines(sweep):
    table = build_points(summarise(sweep))
    names = [column.name for column in table.columns]
    vanilla, pgd = (dict(zip(names, row.cells, strict=True)) for row in table.rows[-2:])
    assert vanilla["sigma"] == "vanilla" and vanilla[""] == "baseline" and vanilla["mean"] == "70.5"
    assert pgd["sigma"] == "pgd" and pgd["seeds"] == "1/2" and pgd["trials failed"] == "1"


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (depth_grid, {"space": SPACES["depth"], "search": "grid", "published": None}),
        (joint_search, JOINT),
    ],
)
def test_rows_of_a_search_over_several_parameters_are_as_long_as_their_heads(
    kind, changes, tmp_path
):
    trials = [*kind(), result(MNIST.methods["vanilla"], 0, "converged", 60.0)]
    chosen = {"vanilla": BASELINES["vanilla"]}
    records = write_sweep(tmp_path / "sweep", trials, baselines=chosen, **changes)
    table = build_points(summarise(records))
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    assert table.rows[-1].mark == "baseline" and write_report(records).tables


def test_parquet_names_the_baseline_and_has_no_value_for_what_it_was_not_searched_by(sweep):
    write_report(sweep)
    table = pq.read_table(io.BytesIO(sweep.folder.read("results.parquet"))).to_pylist()
    baselines = {(row["baseline"], row["sigma"]) for row in table}
    assert baselines == {(None, 0.2), (None, 0.5), ("vanilla", None), ("pgd", None)}


def test_the_page_and_the_sentences_tell_of_them(sweep):
    report = write_report(sweep)
    sentence = next(s for s in report.answer if s.startswith("Baselines with"))
    assert "vanilla 70.5 %" in sentence and "pgd 97.0 %" in sentence
    page = sweep.folder.read("report/report.html").decode()
    assert '<th scope="row">vanilla</th><td class="text">baseline</td>' in page


def test_the_figure_has_a_line_across_for_each(sweep):
    figure = draw_accuracy(summarise(sweep))
    (axes,) = figure.axes[:1]
    across = {
        line.get_label(): line.get_ydata()[0]
        for line in axes.lines
        if "baseline" in str(line.get_label())
    }
    assert across.keys() == {"baseline vanilla, 70.5 %", "baseline pgd, 97.0 %"}
    assert across["baseline vanilla, 70.5 %"] == pytest.approx(70.5)


def test_a_paired_test_compares_the_best_with_each_baseline(sweep):
    found = compare(summarise(sweep), sweep)
    named = {(c.point.point, c.measure): c.paired for c in found}
    vanilla = named[("vanilla",), "mean"]
    assert vanilla.pairs == 2 and vanilla.difference.estimate == pytest.approx(70.5 - 80.5)
