"""The main job for real, on a small scale: Ray, Optuna, MLflow, a Ctrl-C, and carrying on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from gon_core.config import EvaluationConfig, StartConfig
from gon_core.data import files, idx
from gon_core.data.splits import split
from gon_core.training.checkpoints import MODEL
from sweeps.engine.records import SweepRecords, starting_models
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.trials.trial import make_deterministic, run_trial

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).parents[2] / "sweeps/sigma_line_search.py"
SMALL = ("--training-images", "300", "--validation-images", "30", "--test-images", "30",
         "--start-epochs", "1", "--storage", "results")  # fmt: skip


def command(*arguments):
    return [sys.executable, str(SCRIPT), *arguments, *SMALL]


def run(folder, *arguments):
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=180
    )


def mlflow_runs(folder):
    client = MlflowClient(f"sqlite:///{folder}/results/mlflow.db")
    experiment = client.get_experiment_by_name("gon/sigma")
    return client.search_runs([experiment.experiment_id])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole sweep: two grid points and a refined one, two seeds each."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = ("--sigmas", "0", "0.5", "--seeds", "2", "--num-trials", "1", "--max-epochs", "2",
                 "--name", "small")  # fmt: skip
    ended = run(folder, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder, arguments, ended


def test_a_sweep_records_every_trial_and_draws_the_figure(finished):
    folder, _, ended = finished
    records = SweepRecords(Folder(str(folder / "results/small")))
    results = records.results()
    assert len(results) == 6
    assert {result.status for result in results} == {"max_epochs"}
    sigmas = sorted({result.config.method.sigma for result in results})
    assert len(sigmas) == 3 and sigmas[0] == 0 and 0 < sigmas[1] < 0.5
    table = pq.read_table(folder / "results/small/results.parquet")
    assert table.num_rows == 6 * 2 * 16
    for name in ("mnist_c_vs_sigma.png", "mnist_c_vs_sigma.svg", "report.html", "table.md"):
        assert (folder / "results/small/report" / name).stat().st_size > 200
    assert "mlflow ui" in ended.stdout and "Cut short" in ended.stdout
    assert "Traceback" not in ended.stderr and "WARNING" not in ended.stdout + ended.stderr


def test_mlflow_holds_one_parent_and_one_terminal_run_per_trial(finished):
    folder, _, _ = finished
    runs = mlflow_runs(folder)
    assert len(runs) == 7
    assert {run_.info.status for run_ in runs} == {"FINISHED"}
    children = [run_ for run_ in runs if run_.data.tags["kind"] == "trial"]
    assert all("mnist_c/mean" in run_.data.metrics for run_ in children)


def test_the_same_command_again_trains_nothing_and_says_so(finished):
    folder, arguments, _ = finished
    results = sorted(folder.glob("results/small/trials/*/result.json"))
    before = [path.stat().st_mtime_ns for path in results]
    ended = run(folder, *arguments)
    assert ended.returncode == 0 and "nothing to train" in ended.stdout
    assert [path.stat().st_mtime_ns for path in results] == before
    assert len(mlflow_runs(folder)) == 7


def test_another_question_under_the_same_name_is_refused(finished):
    folder, arguments, _ = finished
    ended = run(folder, *arguments[:-2], "--name", "small", "--scheduler", "asha")
    assert ended.returncode == 2
    assert "choose another name" in ended.stderr and "scheduler" in ended.stderr
    dry = run(folder, *arguments[:-2], "--name", "small", "--scheduler", "asha", "--dry-run")
    assert dry.returncode == 2 and "choose another name" in dry.stderr


def test_a_dry_run_lists_the_trials_and_starts_nothing(finished, tmp_path):
    ended = run(tmp_path, "--dry-run", "--sigmas", "0", "0.5", "--seeds", "2", "--num-trials", "1")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("to run") == 4 + 1 and "1 proposal" in ended.stdout
    assert "nothing was started" in ended.stdout
    assert "about" in ended.stdout and list(tmp_path.iterdir()) == []


def test_a_trial_gives_the_same_bits_alone_as_beside_others(finished, tmp_path):
    folder, _, _ = finished
    records = SweepRecords(Folder(str(folder / "results/small")))
    beside = records.results()[0]
    make_deterministic("cpu", threads=1)
    train, test = idx.load("mnist")
    data = prepare_data(split(train, test, beside.config.data), EvaluationConfig())
    start = beside.config.start
    assert isinstance(start, StartConfig)
    kept = starting_models.folder(
        Folder(str(folder / "results")), start, files.check("mnist", None)
    )
    weights = starting_models.stored(kept)
    alone_records = SweepRecords(Folder(str(tmp_path))).trial(beside.trial_id)
    alone = run_trial(beside.config, data, weights, alone_records)
    assert alone.measurements == beside.measurements and alone.objective == beside.objective
    assert alone_records.folder.read(MODEL) == records.trial(beside.trial_id).folder.read(MODEL)


def wait_for(condition, process, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def test_after_ctrl_c_the_same_command_carries_on_where_it_stopped(finished):
    folder, _, _ = finished  # whose starting model is shared
    arguments = ("--sigmas", "0", "0.4", "0.8", "--seeds", "1", "--num-trials", "0", "--scheduler",
                 "asha", "--max-epochs", "40", "--name", "stopped")  # fmt: skip
    process = subprocess.Popen(
        command(*arguments), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    sweep = folder / "results/stopped"
    wait_for(lambda: list(sweep.glob("trials/*/checkpoints/*/manifest.json")), process, 90)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Resume with" in out and "Traceback" not in out + err
    stopped = [run_ for run_ in mlflow_runs(folder) if run_.data.tags["sweep"] == "stopped"]
    assert stopped and "RUNNING" not in {run_.info.status for run_ in stopped}

    shorter = json.loads((sweep / "sweep.json").read_text())["config"]["training"]["max_epochs"]
    assert shorter == 40
    ended = run(folder, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = SweepRecords(Folder(str(sweep))).results()
    assert len(results) == 3 and {result.status for result in results} <= {"max_epochs", "pruned"}
    for result in results:
        epochs = [entry["epoch"] for entry in result.history]
        assert epochs == [float(number + 1) for number in range(len(epochs))]
        if result.status == "pruned":
            assert len(epochs) < 40 and result.objective is None
    children = [
        run_
        for run_ in mlflow_runs(folder)
        if run_.data.tags["sweep"] == "stopped" and run_.data.tags["kind"] == "trial"
    ]
    assert len(children) == 3
    assert "RUNNING" not in {run_.info.status for run_ in children}


def heeds(process):
    """Return whether a process handles SIGTERM, as a script does before it loads its modules."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return caught >> (signal.SIGTERM - 1) & 1


@pytest.mark.parametrize("seconds", [0.0, 0.4, 2.5])  # while it imports, and later
def test_ctrl_c_before_the_first_trial_leaves_no_traceback(tmp_path, seconds):
    process = subprocess.Popen(
        command("--sigmas", "0", "--seeds", "1", "--num-trials", "0"), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: heeds(process), process, 90)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Resume with" in out + err and "Traceback" not in out + err
