"""Table 11: our generators and accuracies beside the paper's of another data set."""

import io
import statistics

import pytest
from rich.console import Console

from sweeps.engine.report import print_report, write_report
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.estimates import corrupted_rows
from sweeps.engine.report.tables.generator_depth import build_generator_depths
from tests.sweeps.engine.report.made_up import SPACES, TABLE_11, ant_result


@pytest.mark.system
def test_every_depth_stands_beside_the_paper(sweeps):
    (table,) = build_generator_depths(summarise(sweeps("depth")))
    rows = {row.cells[:3]: row.cells[3:] for row in table.rows}
    assert list(rows) == [
        ("none", "", "paper"),
        *((str(d), "1", whose) for d in range(1, 6) for whose in ("ours", "paper")),
        *((str(d), "3", "ours") for d in range(2, 6)),
    ]
    assert rows["4", "1", "ours"][0] == "901"
    assert rows["4", "1", "paper"] == ("983", "76.0", "51.1", "47.7")
    assert rows["none", "", "paper"] == ("", "76.1", "39.2", "42.3")


@pytest.mark.system
def test_without_noise_leaves_out_the_noise_category(sweeps):
    summary = summarise(sweeps("depth"))
    point = next(point for point in summary.points if point.point == (4, 1))
    means = [
        statistics.fmean(
            row.value
            for row in corrupted_rows(trial)
            if row.setting not in ("shot_noise", "impulse_noise")
        )
        for trial in point.trials
    ]
    (table,) = build_generator_depths(summary)
    (row,) = [row.cells for row in table.rows if row.cells[:3] == ("4", "1", "ours")]
    assert row[-1].startswith(f"{statistics.fmean(means):.1f} ± ")
    assert row[-2].startswith(f"{point.test.mean:.1f} ± ")


@pytest.mark.system
def test_it_is_in_terminal_table_and_page(sweeps):
    report = write_report(sweeps("depth"))
    folder = sweeps("depth").folder / "report"
    for name in ("table.md", "report.html"):
        text = folder.read(name).decode()
        assert "Table 11: the depth" in text and "another data set" in text and "1,403" in text
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    print_report(report, console)
    lines = console.file.getvalue().splitlines()
    assert any(line.split()[:4] == ["4", "1", "ours", "901"] for line in lines)
    assert any(line.split()[:4] == ["4", "1", "paper", "983"] for line in lines)
    table = [line for line in lines if "/report" not in line and "parquet" not in line]
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize("results", [[], [ant_result(status="failed", top1=None, depth=7)]])
def test_it_is_there_before_anything_was_measured(make_ant_sweep, results):
    records = make_ant_sweep(results, SPACES["depth"], search="grid", published=TABLE_11)
    write_report(records)
    (table,) = build_generator_depths(summarise(records))
    assert len(table.rows) == 11 + len(results)
    assert table.rows[1].cells == ("1", "1", "ours", "2", "", "", "")


@pytest.mark.slow
def test_other_sweeps_have_none(sweeps):
    assert build_generator_depths(summarise(sweeps("epsilon"))) == ()
