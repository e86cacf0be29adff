"""Reports of very many trials: pages show a part and say so, files hold everything."""

import io

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from sweeps.engine.report import print_report, write_report
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.catalogue import search_drawings
from sweeps.engine.report.pages import html
from sweeps.engine.report.summary import importance, parquet
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.importance import measure_importances
from sweeps.engine.report.summary.parquet import render_parquet
from tests.sweeps.engine.report.made_up import JOINT, ant_result, joint_search


@pytest.fixture
def big(make_ant_sweep, monkeypatch):
    """Return a sweep of 14 trials, two of them pruned and one failed, with room for 4 rows."""
    monkeypatch.setattr(html, "MOST_ROWS", 4)
    results = joint_search(14)
    results.append(ant_result(0, "failed", None, epsilon=3.3))
    return make_ant_sweep(results, **JOINT | {"seeds": 1})


@pytest.mark.system
def test_a_page_shows_the_best_and_says_so_and_files_hold_all(big):
    write_report(big)
    page, document = ((big.folder / "report").read(n).decode() for n in ("report.html", "table.md"))
    assert "11 of 15 rows are not shown: table.md has all." in page
    assert (
        "11 of 15 rows are not shown: results.parquet has" in page
        and "&lt;b&gt;broken&lt;/b&gt;" in page
    )
    assert page.count('class="best"') == 1
    assert sum(line.startswith(("| #", "| **#")) for line in document.splitlines()) >= 15
    with io.BytesIO(big.folder.read("results.parquet")) as file:
        assert len(set(pq.read_table(file)["trial_id"].to_pylist())) == 15


def test_parquet_in_pieces_holds_the_same(big, monkeypatch):
    summary = summarise(big)
    whole = pq.read_table(io.BytesIO(render_parquet(summary)))
    monkeypatch.setattr(parquet, "TRIALS_AT_A_TIME", 4)
    pieces = render_parquet(summary)
    assert pq.read_table(io.BytesIO(pieces)).equals(whole)
    assert pq.ParquetFile(io.BytesIO(pieces)).num_row_groups == 4


def test_importances_of_very_many_points_look_at_some_and_say_so(big, monkeypatch):
    monkeypatch.setattr(importance, "MOST_EXPLAINED", 8)
    monkeypatch.setattr("sweeps.engine.report.figures.joint_search.MOST_EXPLAINED", 8)
    looked_at = []
    monkeypatch.setattr(
        importance, "importances", lambda space, known, index: looked_at.append(known) or {"a": 1.0}
    )
    summary = summarise(big)
    importances = measure_importances(summary)
    assert [len(known) for known in looked_at] == [8]
    (drawing,) = [d for d in search_drawings(summary, importances, {}) if d.name == "importance"]
    shown = drawing.draw()
    assert any("of 8 of 12 points" in text.get_text().replace("\n", " ") for text in shown.texts)


@pytest.mark.slow
def test_very_many_marks_are_pixels(big, monkeypatch):
    def size():
        summary = summarise(big)
        found = {d.name: d for d in search_drawings(summary, {}, {})}
        return style.render("slices", found["slices"].draw, ("svg",))["slices.svg"]

    assert b"<image" not in size()
    monkeypatch.setattr("sweeps.engine.report.figures.joint_search.MOST_VECTORS", 5)
    assert b"<image" in size()


def test_a_terminal_shows_the_best_of_a_large_grid(make_sweep, monkeypatch):
    monkeypatch.setattr("sweeps.engine.report.pages.terminal.MOST_OF_A_GRID", 5)
    monkeypatch.setattr("sweeps.engine.report.pages.terminal.MOST", 2)
    trials = [(step / 10, 0, "converged", 80.0 + step) for step in range(6)]
    records = make_sweep(trials, seeds=1, published=None)
    console = Console(file=io.StringIO(), width=120)
    print_report(write_report(records), console)
    text = console.file.getvalue()
    assert "4 further rows" in text and "0.5" in text and "0.4" in text
