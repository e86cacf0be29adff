"""The vanilla model on a cluster: its process is killed, then terminated, and it ends the same."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from gon_core.config import EvaluationConfig, StartConfig
from gon_core.data import idx
from gon_core.data.splits import split
from sweeps.engine.backend import preemption
from sweeps.engine.records import MODEL, SweepRecords, starting_models
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.trials.trial import make_deterministic, run_trial
from tests.cluster.local_cluster import LocalCluster
from tests.sweeps.faults import PATIENCE, SWEEPS, wait_for

pytestmark = pytest.mark.cluster

ARGUMENTS = (
    "--sigmas", "0.5", "--seeds", "1", "--num-trials", "0", "--training-images", "3000",
    "--validation-images", "30", "--test-images", "30", "--max-epochs", "1", "--start-epochs", "8",
    "--name", "sweep", "--max-failures", "1", "--max-node-losses", "1", "--budget-hours", "9",
)  # fmt: skip


def signs(but=()):
    """Return the signs of the vanilla model: no trial has begun yet."""
    return [sign for sign in preemption.signs() if sign not in but]


@pytest.fixture
def alone(monkeypatch):
    """Signs of no other sweep of this machine are seen."""
    with tempfile.TemporaryDirectory(prefix="gon-s-") as folder:  # short, for paths of sockets
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


def test_a_vanilla_model_whose_process_is_killed_or_terminated_resumes_from_its_checkpoint(
    tmp_path, alone
):
    results = tmp_path / "results"
    with LocalCluster(workers=0, cpus=2) as cluster:
        process = subprocess.Popen(
            [sys.executable, str(SWEEPS / "sigma_line_search.py"), *ARGUMENTS, "--storage",
             str(results), "--address", cluster.address],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | cluster.environment,
        )  # fmt: skip

        def kept():
            return sorted(
                results.glob(
                    "starting_models/*/training-sweep/trials/*/checkpoints/*/manifest.json"
                )
            )

        wait_for(lambda: len(kept()) == 2 and signs(), process, what="two checkpoints")
        (killed,) = signs()
        os.kill(killed.pid, signal.SIGKILL)
        (next_process,) = wait_for(lambda: signs(but=[killed]), process, what="another")
        time.sleep(1)
        next_process.notify()  # Ray may use its process again
        wait_for(lambda: signs(but=[killed, next_process]), process, what="a third")
        names = [manifest.parent.name for manifest in kept()]
        assert any("-step-" in name for name in names), names
        said, _ = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, said
    (folder,) = (results / "starting_models").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", "start.json"]
    records = SweepRecords(Folder(str(results / "sweep")))
    (result,) = records.results()
    assert isinstance(result.config.start, StartConfig)
    make_deterministic("cpu", threads=1)
    data = prepare_data(split(*idx.load("mnist"), result.config.data), EvaluationConfig())
    config = starting_models.trial_config(result.config.start)
    undisturbed = SweepRecords(Folder(str(tmp_path / "undisturbed"))).trial(config.trial_id)
    expected = run_trial(config, data, None, undisturbed, evaluates=False)
    assert (folder / "model.safetensors").read_bytes() == undisturbed.folder.read(MODEL)
    history = json.loads((folder / "start.json").read_text())["history"]
    assert [{**epoch, "seconds": 0} for epoch in history] == [
        {**epoch, "seconds": 0} for epoch in expected.history
    ]
