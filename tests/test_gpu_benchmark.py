"""The benchmark of a GPU, in the small form that it has without one: on a bare machine too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BARE = """
import runpy, sys
for name in ("ray", "mlflow", "optuna"):
    sys.modules[name] = None  # importing it is an error
sys.argv = ["gpu.py", *sys.argv[1:]]
sys.path.insert(0, "benchmarks")
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


@pytest.mark.system
def test_a_part_is_measured_without_ray_mlflow_and_optuna(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", BARE, "measures", "start", "--out", str(tmp_path)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    rows = report["parts"]["measures"]
    assert [row["measure"] for row in rows][1:3] == ["pgd, 2 steps", "ddn, 2 steps"]
    assert all(row["seconds"] > 0 for row in rows) and rows[1]["times its passes"] > 0
    started = report["parts"]["start"]
    assert [row["trial"] for row in started] == ["the first of a process", "the next"] * 2
    assert all(0 < row["seconds"] < 60 for row in started)
    table = (tmp_path / "gpu.md").read_text()
    assert table.startswith(f"# {report['device']}\n") and report["torch"] in table
    assert "| pgd, 2 steps |" in table
