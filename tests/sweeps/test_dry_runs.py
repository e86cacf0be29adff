"""A dry run of each script: it lists what would run, and starts and writes nothing."""

import pytest

from sweeps.engine.system import machine
from tests.sweeps.here import run_here

SCRIPTS = (
    "sigma_line_search", "epsilon_sphere", "generator_depth", "generator_reset_interval",
    "experience_replay", "joint_search", "method_comparison", "training_recipe", "backbones",
)  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_dry_run_says_what_would_run_and_starts_nothing(script, tmp_path):
    code, printed = run_here(tmp_path, script, "--dry-run", "--scale", "demo", "--seeds", "1")
    assert code == 0 and "nothing was started" in printed, printed
    assert "about" in printed and list(tmp_path.iterdir()) == []


def cells(printed):
    """Return the rows of the table, by their first cell."""
    rows = (line.strip("│").split("│") for line in printed.splitlines() if line.startswith("│"))
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_a_dry_run_lists_the_points_and_the_proposals(tmp_path):
    words = ("--dry-run", "--sigmas", "0", "0.5", "--seeds", "2", "--num-trials", "1")
    given = ("--scale", "demo", "--method", "gnt", "ant_1x1", "--images-per-second", "1000")
    code, printed = run_here(tmp_path, "sigma_line_search", *words, *given)
    rows = cells(printed)
    start, *points = rows
    assert code == 0 and points == ["0", "0.5", "ant_1x1", "1 proposal by gp"], printed
    assert start == "vanilla start" and rows[start][::4] == ["1", "to train"]
    assert float(rows.pop(start)[3].removeprefix("<= ")) > 0
    for name, (trials, epochs, _, hours, states) in rows.items():
        assert trials == "2" and epochs == "<= 2" and float(hours.removeprefix("<= ")) > 0
        assert states == ("as found" if name.startswith("1 p") else "2 to run")
    assert rows["0"][2:4] == rows["0.5"][2:4] != rows["ant_1x1"][2:4], "a generator takes time"
    printed = " ".join(printed.split())
    assert "by the given 1000 images a second: not measured" in printed
    assert "for GPU-hours add --gpus-per-trial 1" in printed


def test_a_given_speed_tells_of_a_gpu_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)
    hours = []
    for rate in (500, 1000):
        words = ("--dry-run", "--scale", "paper", "--gpus-per-trial", "1", "--seeds", "1")
        code, printed = run_here(tmp_path, "experience_replay", *words, "--images-per-second", rate)
        assert code == 0 and "GPU-hours" in printed and "not known" not in printed, printed
        assert "core-hours" not in printed
        hours.append([float(row[3].removeprefix("<= ")) for row in cells(printed).values()])
    assert hours[0] == pytest.approx([2 * each for each in hours[1]], rel=0.02)
    code, printed = run_here(tmp_path, "experience_replay", "--images-per-second", "10")
    assert code == 2 and "--images-per-second: is for --dry-run" in printed


def test_of_many_points_a_dry_run_lists_some(tmp_path):
    sigmas = [f"{number / 100:g}" for number in range(100)]
    words = ("--dry-run", "--scale", "demo", "--images-per-second", "1000", "--num-trials", "0")
    code, printed = run_here(tmp_path, "sigma_line_search", *words, "--sigmas", *sigmas)
    rows = cells(printed)
    assert code == 0 and len(rows) == 23 and [*rows][-2:] == ["79 more points", "0.99"], printed
    assert rows["79 more points"][0] == "237"


def test_a_dry_run_says_that_gpus_are_better_used_apart(tmp_path):
    words = ("--dry-run", "--scale", "demo", "--gpus-per-trial")
    several, apart = "2 trials at once unless", "Eight GPUs are eight trials at once"
    for gpus, said in ((2, {several}), (1, {apart}), (0, set())):
        code, printed = run_here(tmp_path, "sigma_line_search", *words, str(gpus))
        printed = " ".join(printed.split())
        assert code == 0 and {text for text in (several, apart) if text in printed} == said, printed


def test_a_joint_search_has_a_row_with_its_hours_and_epochs(tmp_path):
    words = ("--dry-run", "--scale", "paper", "--num-trials", "5", "--images-per-second", "1000")
    code, printed = run_here(tmp_path, "joint_search", *words, "--method", "ant_1x1", "vanilla")
    rows = cells(printed)
    assert code == 0, printed
    proposed, vanilla = rows["5 proposals by tpe"], rows["vanilla"]
    assert proposed[0] == "5" and proposed[1] == "<= 600" and proposed[4] == "as found"
    hours = [float(row[3].removeprefix("<= ")) for row in (proposed, vanilla)]
    assert hours[0] > 5 * hours[1] > 0, "a generator takes time"
