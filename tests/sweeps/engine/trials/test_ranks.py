"""A trial of two processes: resumed with one, and what happens when one of them breaks."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from gon_core import seeding
from gon_core.benchmarks.mnist import MNIST
from gon_core.data.splits import LabelledImages
from gon_core.models import MadryCNN
from gon_core.training import StoppedError, new_state, train
from gon_core.training.checkpoints import MODEL
from sweeps.engine.trials import ranks
from sweeps.engine.trials.measures import TrialData
from sweeps.engine.trials.ranks import RankError
from sweeps.engine.trials.trial import run_trial
from tests.sweeps.engine.runs.test_security import listening, process_tree
from tests.sweeps.faults import is_alive, wait_until_gone

pytestmark = pytest.mark.system

LONG = """
import sys
from gon_core.config import *
from gon_core.data import idx
from gon_core.data.splits import split
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.trial import make_deterministic, run_trial
make_deterministic("cpu", 1)
sizes = DataConfig(training_images=200, validation_images=30, test_images=30)
training = TrainingConfig(batch_size=100, max_epochs=1000)
config = TrialConfig(method=GNT(sigma=0.5), data=sizes, training=training, start=None)
data = prepare_data(split(*idx.load("mnist"), sizes), EvaluationConfig())
records = SweepRecords(Folder(sys.argv[1])).trial(config.trial_id)
run_trial(config, data, None, records, report=lambda entry: print(entry, flush=True), processes=2)
"""


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch, tmp_path_factory):
    """Every test leaves neither a process nor a folder behind."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert not others() and not list(folder.glob("gon-ranks-*"))


def others(root=None):
    """Return the processes below ``root`` (this one) that are ranks of a trial."""
    found = []
    for process in process_tree(root or os.getpid())[1:]:
        command = Path(f"/proc/{process}/cmdline")
        if is_alive(process) and b"sweeps.engine.trials.ranks" in command.read_bytes():
            found.append(process)
    return found


def weights(records, config):
    return load(records.trial(config.trial_id).folder.read(MODEL))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_trial_is_resumed_by_another_number_of_processes(
    first, then, config, data, start_weights, records
):
    undisturbed = type(records)(records.folder / "undisturbed").trial(config.trial_id)
    expected = run_trial(config, data, start_weights, undisturbed)

    def die(metrics):
        if metrics["epoch"] == 2:
            raise Killed

    trial = records.trial(config.trial_id)
    with pytest.raises(Killed):
        run_trial(config, data, start_weights, trial, report=die, processes=first)
    assert not others() and trial.latest_checkpoint().epoch == 2
    result = run_trial(config, data, start_weights, trial, processes=then)
    assert result.status == "max_epochs" and result.trial_id == expected.trial_id
    assert result.device == ("cpu, 1 thread(s)" if then == 1 else "2 x cpu, 1 thread(s)")
    assert [attempt.from_epoch for attempt in trial.attempts()] == [0, 2]
    for ours, theirs in zip(result.history, expected.history, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
    reference = load(undisturbed.folder.read(MODEL))
    for name, tensor in weights(records, config).items():
        torch.testing.assert_close(tensor, reference[name], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(
    ("variant", "then"), [("gnt", 2), pytest.param("ant_1x1", 1, marks=pytest.mark.slow)]
)
def test_a_trial_of_two_processes_that_is_stopped_within_an_epoch_counts_every_image_once(
    variant, then, config, data, start_weights, records
):
    changes = {"pretraining_steps": 1} if variant == "ant_1x1" else {}
    method = MNIST.methods[variant].model_copy(update=changes)
    config = config.model_copy(update={"method": method})
    whole = type(records)(records.folder / "undisturbed").trial(config.trial_id)
    expected = run_trial(config, data, start_weights, whole)  # two find the same
    kept, asked = records.trial(config.trial_id), []

    def stop():
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(StoppedError):
        run_trial(config, data, start_weights, kept, processes=2, stop=stop)
    assert kept.latest_checkpoint().steps > 0
    result = run_trial(config, data, start_weights, kept, processes=then)
    assert result.status == expected.status and len(result.history) == len(expected.history)
    for found, was in zip(result.history, expected.history, strict=True):
        for name in found.keys() - {"seconds", "data_seconds", "validation_seconds"}:
            assert found[name] == pytest.approx(was[name], rel=1e-4), name


@pytest.mark.slow
def test_what_breaks_another_process_is_the_reason_of_the_failed_trial(
    config, data, start_weights, records
):
    # A class that does not exist, in the second row of the first batch: that of rank 1.
    order = seeding.generator(config.seed, "data order")
    bad = torch.randperm(len(data.training), generator=order)[1]
    labels = data.training.labels.clone()
    labels[bad] = 99
    training = LabelledImages(data.training.images, labels)
    broken = TrialData(training, data.validation, data.test, data.benchmark)
    trial = records.trial(config.trial_id)
    failed = run_trial(config, broken, start_weights, trial, processes=2)
    assert failed.status == "failed" and trial.result() == failed
    first = failed.reason.splitlines()[0]
    assert first.startswith("RankError: rank 1 of 2 broke: IndexError: Target 99 is out of bounds")
    assert run_trial(config, data, start_weights, trial, processes=2).status == "max_epochs"


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_trial_with_that_reason(
    config, data, start_weights, records
):
    def kill(metrics):
        if metrics["epoch"] == 1:
            (other,) = others()
            os.kill(other, signal.SIGKILL)

    trial = records.trial(config.trial_id)
    failed = run_trial(config, data, start_weights, trial, report=kill, processes=2)
    assert failed.status == "failed" and trial.latest_checkpoint().epoch == 1
    assert failed.reason.startswith("RankError: rank 1 of 2 was killed by signal 9")


@pytest.mark.slow
def test_a_machine_that_terminates_all_its_processes_breaks_no_trial(config, data, records):
    def tell(metrics):
        for process in others():
            os.kill(process, signal.SIGTERM)  # this one is notified

    fresh = config.model_copy(update={"start": None})
    kept = records.trial(fresh.trial_id)
    assert run_trial(fresh, data, None, kept, report=tell, processes=2).status == "max_epochs"


@pytest.mark.slow
def test_an_error_of_this_process_keeps_its_own_name_and_ends_the_others(
    config, data, start_weights, records
):
    def fill(metrics):
        raise OSError(28, "No space left on device")

    trial = records.trial(config.trial_id)
    failed = run_trial(config, data, start_weights, trial, report=fill, processes=2)
    assert failed.reason.startswith("OSError: [Errno 28] No space left on device")


@pytest.mark.slow
def test_a_process_that_hangs_is_abandoned(config, data, monkeypatch):
    monkeypatch.setattr(ranks, "PATIENCE", 0.1)
    state = new_state(MadryCNN(), config.training, config.seed, config.method)
    began = None
    with (
        pytest.raises(RuntimeError, match=r"(?i)timed? ?out"),
        ranks.started(2, config, state, data.training, timeout=8.0),
    ):
        for _ in train(state, data.training, config.method, config.training):
            (other,) = others()
            os.kill(other, signal.SIGSTOP)
            began = time.monotonic()
    assert time.monotonic() - began < 60


def test_a_process_that_cannot_start_is_an_error_not_a_wait(config, data, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    state = new_state(MadryCNN(), config.training, config.seed, config.method)
    with (
        pytest.raises(RankError, match="rank 1 of 2 ended with exit code 1"),
        ranks.started(2, config, state, data.training),
    ):
        raise AssertionError("it started")


def test_a_process_that_is_never_ready_fails_the_trial(
    config, data, start_weights, records, monkeypatch, tmp_path
):
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(ranks, "START", 1.0)
    trial = records.trial(config.trial_id)
    began = time.monotonic()
    failed = run_trial(config, data, start_weights, trial, processes=2)
    assert time.monotonic() - began < 60
    assert failed.status == "failed" and trial.result() == failed
    assert failed.reason.startswith("RankError: rank 1 of 2 was not ready within 1 s")


def test_processes_listen_on_loopback_alone_and_never_outlive_a_killed_trial(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path), "GLOO_SOCKET_IFNAME": "eth0"}
    command = [sys.executable, "-c", LONG, str(tmp_path / "sweep")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert "train_loss" in process.stdout.readline(), process.stderr.read()
    (other,) = others(process.pid)
    for pid in (process.pid, other):
        found = listening([pid])
        assert found and {address for address, _ in found} <= {"127.0.0.1", "::1"}
    (folder,) = tmp_path.glob("gon-ranks-*")
    assert folder.stat().st_mode & 0o077 == 0
    process.kill()
    process.communicate()
    wait_until_gone([other], seconds=5)
    assert not folder.exists()
