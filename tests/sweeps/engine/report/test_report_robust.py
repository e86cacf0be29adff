"""Sweeps of which little or nothing is known still get a report that says so."""

import pytest

from sweeps.engine.report import write_report
from sweeps.engine.report.__main__ import main

CASES = {
    "zero results": ([], {}, "no trial has ended yet"),
    "only failed": ([(0.5, 0, "failed", None)], {}, "no trial was measured"),
    "only lost": ([(0.5, 0, "diverged", None), (0.2, 0, "pruned", None)], {}, "was measured"),
    "one trial": ([(0.5, 0, "converged", 80.0)], {"seeds": 1}, "the only value"),
    "no complete value": ([(0.5, 0, "converged", 80.0)], {}, "with all its seeds"),
    "best at the edge": (
        [(0.5, 0, "converged", 80.0), (0.7, 0, "converged", 90.0)], {"seeds": 1}, "lie beyond",
    ),
    "nothing published": (
        [(0.5, 0, "converged", 80.0), (0.7, 0, "converged", 70.0)],
        {"seeds": 1, "published": None, "tracking": "", "deviations": []},
        "No figures were published",
    ),
    "nothing at all": ([], {"published": None, "grid": [[0.5]], "seeds": 1}, "1 trial not ended"),
}  # fmt: skip


@pytest.mark.system
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("figures_are_drawn")
def test_report_says_what_is_missing(make_sweep, case):
    trials, changes, expected = CASES[case]
    records = make_sweep(trials, **changes)
    report = write_report(records)
    folder = records.folder / "report"
    assert expected in folder.read("table.md").decode()
    assert expected in folder.read("report.html").decode()
    name = "mnist_c_vs_sigma" if changes.get("published", True) else "accuracy_vs_sigma"
    measured = any(top1 is not None for *_, top1 in trials)
    drawn = [name, *(["mnist_c_per_corruption"] if measured else [])]
    figures = [f"{name}.{ending}" for name in drawn for ending in ("png", "svg")]
    assert folder.names() == sorted([*figures, "report.html", "table.md"])
    assert (report.summary.best is None) == expected.startswith(("no ", "was", "with", "1 trial"))


def test_command_makes_the_report_again(make_sweep, capsys):
    records = make_sweep([(0.5, 0, "converged", 80.0)], seeds=1)
    assert main([records.folder.uri]) == 0
    output = capsys.readouterr()
    assert "shot noise" in output.out and "Best: sigma 0.5" in output.out
    assert output.err == ""


def test_command_refuses_what_is_no_sweep(tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "sweep.json").write_text("{}")
    for name in ("missing", "other", "broken", "foreign"):
        assert main([str(tmp_path / name)]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert len(output.err.splitlines()) == 1 and name in output.err


def test_help(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "folder of the sweep" in capsys.readouterr().out
