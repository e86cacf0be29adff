"""Table 11: our generators and accuracies beside the paper's of another data set."""

import io
import statistics

import pytest
from rich.console import Console

from sweeps.engine.report import print_report, write_report
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.estimates import corrupted_rows
from sweeps.engine.report.tables.generator_depth import build_rows, count_parameters
from tests.sweeps.engine.report.made_up import SPACES, TABLE_11, ant_result


def test_paper_counts_come_out_for_three_channels():
    assert [count_parameters(depth, 1, 3) for depth in range(1, 6)] == [12, 143, 563, 983, 1403]


def test_every_depth_stands_beside_the_paper(sweeps):
    rows = build_rows(summarise(sweeps("depth")))
    assert [(row.depth, row.kernel_size) for row in rows] == [
        ("none", ""), *((str(d), "1") for d in range(1, 6)), *((str(d), "3") for d in range(2, 6)),
    ]  # fmt: skip
    fourth = rows[4]
    assert fourth.ours[0] == "901" and fourth.published == ("983", "76.0", "51.1", "47.7")
    assert rows[0].ours == ("", "", "", "") and rows[0].published[1:] == ("76.1", "39.2", "42.3")
    assert all(row.published == ("", "", "", "") for row in rows if row.kernel_size == "3")


def test_without_noise_leaves_out_the_noise_category(sweeps):
    summary = summarise(sweeps("depth"))
    point = next(point for point in summary.points if point.point == (4, 1))
    means = [
        statistics.fmean(
            row.top1
            for row in corrupted_rows(trial)
            if row.corruption not in ("shot_noise", "impulse_noise")
        )
        for trial in point.trials
    ]
    row = next(row for row in build_rows(summary) if (row.depth, row.kernel_size) == ("4", "1"))
    assert row.ours[3].startswith(f"{statistics.fmean(means):.1f} ± ")
    assert row.ours[2].startswith(f"{point.test.mean:.1f} ± ")


@pytest.mark.parametrize("width", [80, 120])
def test_it_is_in_terminal_table_and_page(sweeps, width):
    report = write_report(sweeps("depth")) if width == 80 else None
    folder = sweeps("depth").folder / "report"
    for name in ("table.md", "report.html"):
        text = folder.read(name).decode()
        assert "Table 11: the depth" in text and "another data set" in text and "1,403" in text
    if report is not None:
        console = Console(width=width, file=io.StringIO(), force_terminal=False)
        print_report(report, console)
        lines = console.file.getvalue().splitlines()
        assert any(line.split()[:4] == ["4", "1", "ours", "901"] for line in lines)
        assert any(line.split()[:4] == ["4", "1", "paper", "983"] for line in lines)
        table = [line for line in lines if "/report" not in line and "parquet" not in line]
        assert max(map(len, table)) <= width


@pytest.mark.parametrize("results", [[], [ant_result(status="failed", top1=None, depth=7)]])
def test_it_is_there_before_anything_was_measured(make_ant_sweep, results):
    records = make_ant_sweep(results, SPACES["depth"], search="grid", published=TABLE_11)
    write_report(records)
    rows = build_rows(summarise(records))
    assert len(rows) == 6 + len(results)
    assert rows[1].ours == ("2", "", "", "")


def test_other_sweeps_have_none(sweeps):
    assert build_rows(summarise(sweeps("epsilon"))) == ()
