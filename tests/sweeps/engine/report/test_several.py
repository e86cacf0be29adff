"""Several sweeps on one page."""

import json
import re

import pytest

from gon_core.config import GNT
from sweeps.engine.report.__main__ import main
from sweeps.engine.report.several import compare_sweeps
from tests.sweeps.engine.report.made_up import METHODS, methods, result, write_sweep


def sweep(folder, name, gain=0.0, seeds=3, **changes):
    """Write a sweep over sigma that is better by ``gain`` points, more so with each seed."""
    trials = [
        result(GNT(sigma=sigma), seed, "max_epochs", mean + gain + 0.2 * seed * (gain != 0))
        for sigma, mean in {0.0: 75.0, 0.5: 85.0, 0.8: 84.0}.items()
        for seed in range(seeds)
    ]
    return write_sweep(folder / name, trials, seeds=seeds, **changes).folder.uri


def rows(table):
    return {row.cells for row in table.rows}


def test_the_best_and_equal_points_are_paired_over_common_seeds(tmp_path):
    first, second = sweep(tmp_path, "first"), sweep(tmp_path, "second", gain=2.0, seeds=2)
    best, bests, points = compare_sweeps([first, second], folder(tmp_path)).tables
    assert [row.mark for row in best.rows] == ["", "best"]
    assert best.rows[0].cells[:2] == ("first", "sigma 0.5")
    (mean,) = (row.cells for row in bests.rows if row.cells[2] == "mean")
    assert mean[:2] == ("second", "sigma 0.5") and mean[3] == "+2.1" and mean[-1] == "2 seeds"
    found = {row.cells[1]: row.cells[3] for row in points.rows if row.cells[2] == "mean"}
    assert found == {"sigma 0": "+2.1", "sigma 0.5": "+2.1", "sigma 0.8": "+2.1"}


def test_one_common_seed_has_a_difference_and_no_interval(tmp_path):
    first, second = sweep(tmp_path, "first"), sweep(tmp_path, "second", gain=2.0, seeds=1)
    _, bests, _ = compare_sweeps([first, second], folder(tmp_path)).tables
    (mean,) = (row.cells for row in bests.rows if row.cells[2] == "mean")
    assert mean[3:] == ("+2.0", "", "", "1 seed")


def folder(tmp_path):
    from sweeps.engine.records.storage import Folder

    return Folder(str(tmp_path / "page"))


def test_the_page_has_every_sweep_on_the_same_axes(tmp_path, capsys):
    names = [sweep(tmp_path, "first"), sweep(tmp_path, "second", gain=2.0)]
    assert main([*names, "--output", str(tmp_path / "page")]) == 0
    printed = capsys.readouterr().out
    assert "The best of each sweep" in printed and "comparison.html" in printed
    page = (tmp_path / "page/comparison.html").read_text()
    charts = {
        name: json.loads(text)
        for name, text in re.findall(r'data-for="(\w+)">(.*?)</script>', page)
    }
    assert list(charts) == ["by_sigma", "accuracies", "corruptions"]
    by_sigma = charts["by_sigma"]["data"]
    assert [trace["name"] for trace in by_sigma] == ["first", "second"]
    assert [trace["x"] for trace in by_sigma] == [[0, 0.5, 0.8]] * 2
    assert by_sigma[1]["y"][1] - by_sigma[0]["y"][1] == pytest.approx(2.2, abs=0.05)
    assert len({trace["marker"]["color"] for trace in by_sigma}) == 2
    assert page.count("Which sigma of Gaussian noise training?") == 2


def test_sweeps_of_different_questions_are_compared_by_their_best(tmp_path):
    first = sweep(tmp_path, "first", config={"training": {"decays": 1}, "seeds": [0]})
    other = write_sweep(tmp_path / "other", methods(2), **METHODS, seeds=2).folder.uri
    tables = {
        table.title: table for table in compare_sweeps([first, other], folder(tmp_path)).tables
    }
    assert set(tables) == {
        "The best of each sweep",
        "The best, paired with first, sigma 0.5",
        "How the sweeps differ",
    }
    assert ("training.decays", "1", "none") in rows(tables["How the sweeps differ"])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("first", "first"), "a sweep is given twice"),
        (("first", "nothing"), "has no sweep.json"),
        (("first", "photos"), "tested under different corruptions: first under 15 of MNIST-C"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_written(tmp_path, names, reason, capsys):
    sweep(tmp_path, "first")
    data = {"data": {"dataset": "cifar10"}}
    write_sweep(tmp_path / "photos", [], config=data, published=None)
    code = main([*(str(tmp_path / name) for name in names), "--output", str(tmp_path / "page")])
    assert code == 2 and reason in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_figures_are_of_one_sweep(tmp_path, capsys):
    names = [sweep(tmp_path, "first"), sweep(tmp_path, "second")]
    assert main([*names, "--bare"]) == 2
    assert "exported of one sweep" in capsys.readouterr().err
