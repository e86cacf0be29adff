"""A dry run of each script: it lists what would run, and starts and writes nothing."""

import pytest

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


def test_a_dry_run_lists_the_trials_and_the_proposals(tmp_path):
    words = ("--dry-run", "--sigmas", "0", "0.5", "--seeds", "2", "--num-trials", "1")
    code, printed = run_here(tmp_path, "sigma_line_search", *words)
    assert code == 0 and printed.count("to run") == 4 + 1 and "1 proposal" in printed


def test_a_dry_run_says_that_gpus_are_better_used_apart(tmp_path):
    words, said = ("--dry-run", "--scale", "demo", "--gpus-per-trial"), "2 trials at once unless"
    for gpus in (2, 1):
        code, printed = run_here(tmp_path, "sigma_line_search", *words, str(gpus))
        assert code == 0 and (said in " ".join(printed.split())) == (gpus == 2), printed
