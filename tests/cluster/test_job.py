"""A sweep as a Ray job, submitted as docs/cluster.md says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.test_cluster_docs import DOCS
from tests.sweeps.faults import SWEEPS

pytestmark = pytest.mark.cluster

SIZES = (
    "--scale demo --sigmas 0 0.5 --seeds 1 --num-trials 0 --training-images 600 "
    "--validation-images 30 --test-images 30 --max-epochs 2 --start-epochs 1 --name job"
)
DOCUMENTED = 'ray job submit --no-wait -- bash -c "cd ~/game-of-noise && exec python sweeps/sigma_'
LONG = 600.0  # seconds, on a busy machine


def test_a_submitted_sweep_outlives_the_terminal_that_submitted_it(tmp_path):
    assert DOCUMENTED in DOCS
    with LocalCluster(workers=1, dashboard=True) as cluster:
        ray = str(Path(sys.executable).with_name("ray"))
        environment = (
            os.environ | cluster.environment | {"RAY_API_SERVER_ADDRESS": cluster.dashboard}
        )
        script = "sweeps/sigma_line_search.py"
        storage = f"--storage {tmp_path / 'results'} --address auto --gpus-per-trial 0"
        inside = f"cd {SWEEPS.parent} && exec {sys.executable} {script} {SIZES} {storage}"
        # Without --no-wait it would show what the job prints; it is ended before the job is.
        terminal = subprocess.Popen(
            [ray, "job", "submit", "--submission-id", "sweep", "--", "bash", "-c", inside],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip
        records = SweepRecords(Folder(str(tmp_path / "results/job")))
        wait(lambda: records.read_sweep() is not None, terminal)
        os.killpg(terminal.pid, signal.SIGHUP)
        terminal.communicate(timeout=60)

        def status():
            return subprocess.run(
                [ray, "job", "status", "sweep"], capture_output=True, text=True, env=environment
            ).stdout

        wait(lambda: "succeeded" in status() or "failed" in status())
        logs = subprocess.run(
            [ray, "job", "logs", "sweep"], capture_output=True, text=True, env=environment
        ).stdout
        assert "succeeded" in status(), logs
        assert "Report: " in logs
    assert [result.status for result in records.results()] == ["max_epochs"] * 2


def wait(condition, process=None):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.5)
