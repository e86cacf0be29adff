"""On real MNIST at demo scale the methods stand in the paper's order: some five minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report.summary.aggregate import summarise

SCRIPT = Path(__file__).parents[2] / "sweeps/method_comparison.py"
ARGUMENTS = ("--scale", "demo", "--seeds", "1", "--evaluate", "none", "--name", "order",
             "--method", "vanilla", "gnt", "ant_1x1", "pgd", "--storage", "results")  # fmt: skip


@pytest.mark.slow
def test_noise_training_is_five_points_above_vanilla_and_pgd_below_gaussian_noise(tmp_path):
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *ARGUMENTS], cwd=tmp_path, env=dict(os.environ),
        capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = summarise(SweepRecords(Folder(str(tmp_path / "results/order"))))
    means = {str(p.point[0]): p.test.mean for p in summary.points if p.test is not None}
    assert means["gnt"] >= means["vanilla"] + 5
    assert means["ant_1x1"] >= means["vanilla"] + 5
    assert means["pgd"] < means["gnt"]
