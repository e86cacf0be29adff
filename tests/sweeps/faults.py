"""What tests of faults share: a small real sweep, started, watched and hurt."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from mlflow import MlflowClient

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.tracking.mlflow import sqlite_store

SWEEPS = Path(__file__).parents[2] / "sweeps"
SMALL = (
    "--training-images 300 --validation-images 30 --test-images 30 --start-epochs 1 "
    "--storage results"
)
# Two values of the grid and a proposal, each with two seeds.
WHOLE = "--sigmas 0 0.5 --seeds 2 --num-trials 1 --max-epochs 2"
TIMINGS = ("seconds_training", "seconds_evaluation", "ended")
PATIENCE = 240.0  # seconds, for a busy machine


class Sweep:
    """A sweep in a folder of its own, run by real processes.

    Args:
        folder: the working directory; the records go to ``results/<name>`` in it.
        arguments: of the command, without the sizes.
        script: of ``sweeps/``.
        name: of the sweep.
        sizes: arguments as well: how much is trained and measured, and where records go.
    """

    def __init__(self, folder, arguments, script="sigma_line_search", name="small", sizes=SMALL):
        self.cwd = folder
        self.folder = folder / "results" / name
        self.command = [sys.executable, str(SWEEPS / f"{script}.py"), *sizes.split(),
                        "--name", name, *arguments.split()]  # fmt: skip
        self.records = SweepRecords(Folder(str(self.folder)))

    def start(self, **environment):
        sqlite_store.ensure_store(self.cwd / "results/mlflow.db")  # a copy: making it takes seconds
        return subprocess.Popen(
            self.command, cwd=self.cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | environment, start_new_session=True,
        )  # fmt: skip

    def run(self, patience=PATIENCE, **environment):
        """Run it to its end, ``patience`` seconds at most; return (exit code, all it printed)."""
        process = self.start(**environment)
        out, err = process.communicate(timeout=patience)
        return process.returncode, out + err

    def result_stamps(self):
        """Return when each trial's record was written, by trial."""
        paths = self.folder.glob("trials/*/result.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in paths}

    def checkpoints(self):
        """Return the epoch of the newest whole checkpoint, by trial."""
        found = {}
        for manifest in sorted(self.folder.glob("trials/*/checkpoints/*/manifest.json")):
            epoch = manifest.parent.name.removeprefix("epoch-").partition("-")[0]
            found[manifest.parents[2].name] = int(epoch)
        return found

    def attempts(self):
        """Return the starts of each trial, by trial."""
        return {name: self.records.trial(name).attempts() for name in self.records.names()}

    def progress(self):
        """Return what changes with every checkpoint and every trial that ends."""
        return self.checkpoints(), self.result_stamps()

    def workers(self):
        """Return the processes in which trials were run."""
        return {attempt.pid for attempts in self.attempts().values() for attempt in attempts}

    def table(self):
        """Return results.parquet without what a repetition cannot reproduce."""
        table = pq.read_table(self.folder / "results.parquet").drop_columns(list(TIMINGS))
        return table.sort_by([(name, "ascending") for name in ("trial_id", "split", "corruption")])

    def mlflow_runs(self):
        """Return the parent runs and the trials' runs of this sweep, and the client."""
        client = MlflowClient(f"sqlite:///{self.cwd}/results/mlflow.db")
        experiments = [e.experiment_id for e in client.search_experiments()]
        found = client.search_runs(experiments, f"tags.sweep = '{self.folder.name}'")
        parents = [run for run in found if run.data.tags["kind"] == "sweep"]
        return client, parents, [run for run in found if run.data.tags["kind"] == "trial"]


def wait_for(condition, process, seconds=PATIENCE, what="something to happen"):
    """Return once ``condition()`` is true; fail if the process ends before, or time runs out."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert process.poll() is None, f"it ended while waiting for {what}: {process.communicate()}"
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return value


def wait_until_gone(pids, seconds=30.0):
    """Fail unless all processes are gone in time."""
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still there: {alive}"
        time.sleep(0.1)


def will_handle_sigterm(process):
    """Whether a process handles SIGTERM, as a script does before it loads its modules."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return caught >> (signal.SIGTERM - 1) & 1


def is_alive(pid):
    """Whether a process runs; one that only waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process):
    """Kill a driver as a machine does that is taken away."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
