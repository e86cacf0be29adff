"""Storage on Google Cloud: an emulator on loopback gets the requests of a real store."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from sweeps.engine.records import Checkpoint, SweepRecords, TrialResult
from sweeps.engine.records.check import check
from sweeps.engine.records.storage import Folder
from tests.gcs_store import BUCKET, gcs_store, uri
from tests.sweeps.engine.records.store_contract import LARGE, check_a_file

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).parents[4] / "sweeps/sigma_line_search.py"
SMALL = ("--training-images", "300", "--validation-images", "30", "--test-images", "30", "--seeds",
         "1", "--start-epochs", "1", "--max-epochs", "2", "--num-trials", "0", "--name", "small",
         "--sigmas", "0.3", "0.6")  # fmt: skip
CONFIG = TrialConfig(
    method=GNT(sigma=0.5), data=DataConfig(), training=TrainingConfig(), start=None
)


@pytest.fixture(scope="module")
def store():
    """A server with an empty bucket; host and port."""
    with gcs_store() as address:
        yield address


@pytest.fixture
def folder(store, request):
    found = Folder(uri(store), patience=20.0) / request.node.name
    assert found.names() == [] and not found.exists()
    return found


def checkpoint(epoch):
    return Checkpoint(epoch, {"model.safetensors": b"1" * epoch}, [{"epoch": 1.0}] * epoch)


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_file_comes_back_as_it_was_written(folder, content):
    check_a_file(folder, content)


def test_a_folder_is_there_with_its_files_and_goes_with_them(folder):
    (folder / "a sweep?" / "trials").write("x.json", b"1")
    assert (folder / "a sweep?").path.startswith(f"{BUCKET}/some/sweeps/")
    assert folder.names() == ["a sweep?"] and (folder / "a sweep?").names() == ["trials"]
    (folder / "a sweep?").delete()
    (folder / "a sweep?").delete()
    assert not (folder / "a sweep?").exists() and folder.names() == []


def test_checkpoints_of_a_trial_come_and_go_as_on_a_local_disk(folder):
    trial = SweepRecords(folder).trial(CONFIG.trial_id)
    trial.write_config(CONFIG)
    for epoch in (1, 2, 3):
        trial.write_checkpoint(checkpoint(epoch))
    assert (trial.folder / "checkpoints").names() == ["epoch-000002", "epoch-000003"]
    (trial.folder / "checkpoints/epoch-000003").write("model.safetensors", b"damaged")
    assert trial.latest_checkpoint() == checkpoint(2)
    result = TrialResult(trial_id=CONFIG.trial_id, config=CONFIG, status="max_epochs")
    written = trial.write_result(result, {"model.safetensors": b"weights"})
    assert trial.result() == written and trial.latest_checkpoint() is None
    assert trial.folder.names() == ["model.safetensors", "result.json", "trial.json"]


def run(storage, folder):
    command = [sys.executable, str(SCRIPT), *SMALL, "--storage", storage]
    began = time.monotonic()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return ended, time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["bucket", "silent", "closed"])
def test_a_store_that_cannot_be_used_is_refused_before_anything_starts(store, fault, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = silent.getsockname()
        if fault == "silent":
            ended, took = run(uri(address), tmp_path)
    if fault == "closed":
        ended, took = run(uri(address), tmp_path)
    elif fault == "bucket":
        ended, took = run(uri(store, bucket="nowhere"), tmp_path)
    assert ended.returncode == 2 and took < 30, ended.stdout + ended.stderr
    assert "--storage: cannot be used" in ended.stderr and "Traceback" not in ended.stderr
    assert ended.stderr.startswith("1 problem, nothing was started")
    assert list(tmp_path.iterdir()) == [] and ended.stdout == ""


@pytest.mark.slow
def test_a_sweep_on_google_cloud_ends_like_one_on_a_local_disk(store, tmp_path):
    remote, _ = run(uri(store), tmp_path)
    assert remote.returncode == 0 and "Traceback" not in remote.stderr, remote.stderr
    local, _ = run("results", tmp_path)
    assert local.returncode == 0, local.stderr
    sweep = SweepRecords(Folder(uri(store)) / "small")
    on_disk = SweepRecords(Folder(str(tmp_path / "results/small")))
    assert check(sweep).is_whole and sweep.names() == on_disk.names()
    assert sweep.folder.exists("report/report.html")
    for there, here in zip(sweep.results(), on_disk.results(), strict=True):
        assert there.measurements == here.measurements and there.files == here.files
    again, _ = run(uri(store), tmp_path)
    assert again.returncode == 0 and "nothing to train" in again.stdout
