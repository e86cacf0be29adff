"""A real sweep resumes beside payloads of every kind, with the real model."""

import subprocess
import sys
from pathlib import Path

import pytest

from gon_core.training.checkpoints import MODEL, TRAINING
from sweeps.engine.records import EXAMPLES, NOISE, PERTURBED
from tests.sweeps.evil_folders.payloads import COMMAND, STRAYS

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_sweep_is_resumed_beside_every_kind_of_payload(given_for_real, trap, tmp_path):
    """Payloads wherever something is read that can be done without, and where Tune once wrote."""
    given = given_for_real
    places = [given.folder, given.folder / "trials", given.trial(given.ended),
              given.trial(given.killed), Path("results"), given.folder / "report"]  # fmt: skip
    for folder in places:
        folder.mkdir(exist_ok=True)
        for name in STRAYS:
            (folder / name).write_bytes(trap())
    (given.start / MODEL).write_bytes(trap("torch.save"))
    (given.checkpoint / TRAINING).write_bytes(trap("torch.save"))
    for path in (given.trial(given.ended) / NOISE, given.folder / EXAMPLES,
                 given.trial(given.ended) / PERTURBED):  # fmt: skip
        path.write_bytes(trap())
    script = str(ROOT / "sweeps/epsilon_sphere.py")
    ended = subprocess.run(
        [sys.executable, script, *COMMAND], cwd=tmp_path, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 0, printed
    assert "Traceback" not in printed and "Resumed: 1 trial recorded" in printed
    results = given.records.results()
    assert [result.status for result in results] == ["max_epochs"] * 2
