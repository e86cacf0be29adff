"""The benchmark of a GPU, in the small form that it has without one: on a bare machine too."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gon_core import benchmarks
from gon_core.benchmarks import image_folder
from gon_core.config import SININ
from gon_core.training import METHODS

ROOT = Path(__file__).parents[1]
BARE = """
import runpy, sys
for name in (
    "ray", "mlflow", "optuna", "pandas", "matplotlib", "foolbox", "torchvision", "PIL", "cv2",
    "psutil", "rich", "tyro",
):
    sys.modules[name] = None  # importing it is an error
sys.argv = ["gpu.py", *sys.argv[1:]]
sys.path.insert(0, "benchmarks")
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield importlib.import_module("gpu_steps")
    del sys.modules["gpu_steps"]


def test_steps_of_every_method_are_timed(steps):
    for case, known, lacks in (
        (steps.DIGITS, benchmarks.get("mnist").methods, {SININ}),
        (steps.CIFAR, benchmarks.get("cifar10").methods, {SININ}),
        (steps.PHOTOS_70, image_folder.methods(224), set()),
    ):
        methods = steps.methods_of(case, known)
        assert next(iter(methods)) == "vanilla"
        assert {*map(type, methods.values())} == METHODS.keys() - lacks
        assert set(steps.ATTACKS) <= methods.keys()
    assert methods["ant_1x1_sin"].uses_stylized


@pytest.mark.system  # to choose deterministic kernels imports torch's compiler
def test_a_plain_loop_has_torchs_settings_and_leaves_ours(steps):
    def settings():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32,
        )  # fmt: skip

    before, ours = settings(), (True, True, False)
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = ours[1:]
        with steps.torchs_defaults():
            assert settings() == (False, False, True)
        assert settings() == ours
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = before[1:]


@pytest.mark.slow
@pytest.mark.system
def test_a_part_is_measured_on_a_bare_machine(tmp_path):
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
    assert [row["trial"] for row in started] == ["the first of a process", "the next"] * 4
    assert all(0 < row["seconds"] < 60 for row in started)
    table = (tmp_path / "gpu.md").read_text()
    assert table.startswith(f"# {report['device']}\n") and report["torch"] in table
    assert "| pgd, 2 steps |" in table
