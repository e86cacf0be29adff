"""A full disk, no memory, a loss that is not finite: the trial says so, and loses nothing."""

import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from ray.exceptions import RayError

from gon_core.formats import training_code
from gon_core.training import StoppedError
from gon_core.training.checkpoints import MODEL
from sweeps.engine.backend import tuner
from sweeps.engine.cli.storage_checks import refuse_unwritable
from sweeps.engine.records.check import check
from sweeps.engine.resources.resources import Resources
from sweeps.engine.runs.session import storage_problem
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.study import known_trial
from sweeps.engine.system.errors import StorageError
from sweeps.engine.trials.trial import cause, run_trial
from tests.sweeps.engine.descriptions import describe

MEGABYTE = 1024**2
OUT_OF_MEMORY = """
import resource, sys, torch
from pathlib import Path
from gon_core.config import *
from gon_core.data import idx
from gon_core.data.splits import split
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.trial import run_trial
sizes = DataConfig(training_images=6000, validation_images=30, test_images=30)
training = TrainingConfig(batch_size=6000, max_epochs=2)
config = TrialConfig(method=GNT(sigma=0.5), data=sizes, training=training, start=None)
data = prepare_data(split(*idx.load("mnist"), sizes), EvaluationConfig())
torch.set_num_threads(1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 1024**2, resource.RLIM_INFINITY))
result = run_trial(config, data, None, SweepRecords(Folder(sys.argv[1])).trial(config.trial_id))
print(result.status, result.reason.splitlines()[0])
"""


@pytest.fixture
def small_files():
    """Return a function that limits, or not, how large files may be, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size=None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit()


@pytest.mark.system
def test_a_full_disk_fails_the_trial_with_that_reason_and_keeps_the_previous_checkpoint(
    config, data, start_weights, records, small_files, tmp_path
):
    trial = records.trial(config.trial_id)

    def fill(metrics):
        if metrics["epoch"] == 1:
            small_files(MEGABYTE)  # the weights are larger, records are not

    failed = run_trial(config, data, start_weights, trial, report=fill)
    small_files()
    assert failed.status == "failed" and not failed.is_final
    assert failed.reason.startswith("StorageError: ") and "File too large" in failed.reason
    assert [entry["epoch"] for entry in failed.history] == [1, 2]
    assert trial.result() == failed  # the record itself had room
    assert (trial.folder / "checkpoints").names() == ["epoch-000001"]
    assert trial.latest_checkpoint().epoch == 1
    records.write_sweep(describe())
    assert check(records).is_whole and check(records).trials[0].state == "failed"

    again = run_trial(config, data, start_weights, trial)
    assert again.status == "max_epochs"
    assert [attempt.from_epoch for attempt in trial.attempts()] == [0, 1]
    elsewhere = type(records)(records.folder / "elsewhere").trial(config.trial_id)
    undisturbed = run_trial(config, data, start_weights, elsewhere)
    assert again.measurements == undisturbed.measurements
    assert trial.folder.read(MODEL) == elsewhere.folder.read(MODEL)


@pytest.mark.slow
@pytest.mark.system
def test_a_disk_that_is_full_at_the_end_fails_the_trial_and_loses_no_checkpoint(
    config, data, start_weights, records, small_files
):
    trial = records.trial(config.trial_id)

    def fill(metrics):
        if metrics["epoch"] == 2:  # the last but one: the weights at the end find no room
            small_files(MEGABYTE)

    failed = run_trial(config, data, start_weights, trial, report=fill)
    assert failed.status == "failed" and "File too large" in failed.reason
    assert failed.objective is None and failed.files == {}
    assert trial.latest_checkpoint().epoch == 2


def test_a_disk_that_is_full_before_anything_starts_is_refused(small_files, tmp_path):
    small_files(0)
    with pytest.raises(ValueError, match="cannot be written"):
        refuse_unwritable(str(tmp_path / "results"))
    small_files()
    refuse_unwritable(str(tmp_path / "results"))
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_memory_that_runs_out_is_named_as_the_cause(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.stdout.startswith("failed out of memory: "), ended.stdout + ended.stderr


def start_trainable(error, config, records, monkeypatch):
    """Run what Ray Tune runs, in this process, with an error before the training begins."""

    def broken(images, device):
        raise error

    monkeypatch.setattr(tuner, "fetch", broken)
    context = SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setattr(tuner.ray, "get_runtime_context", lambda: context)
    records.trial(config.trial_id).write_config(config)
    trial, resources = {tuner.TRIALS: {"p.0": config.model_dump_json()}}, Resources(1, 0.0, 1)
    tuner._trainable(trial, (), None, records.folder, resources, 1, training_code())


@pytest.mark.parametrize(
    ("error", "expected_text"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory: CUDA out of memory\n"),
        (ZeroDivisionError("why"), "ZeroDivisionError: why\n"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
)
def test_what_breaks_before_the_training_is_named_as_the_cause(
    error, expected_text, config, records, monkeypatch
):
    said = []
    monkeypatch.setattr(tuner.tune, "report", said.append)
    start_trainable(error, config, records, monkeypatch)
    (metrics,) = said
    assert metrics[tuner.UNRECORDED].startswith(expected_text)
    assert isinstance(error, OSError) or "Traceback" in metrics[tuner.UNRECORDED]


@pytest.mark.parametrize("error", [StoppedError(), RayError("its machine is gone")])
def test_what_must_propagate_is_raised(error, config, records, monkeypatch):
    with pytest.raises(type(error)):
        start_trainable(error, config, records, monkeypatch)


def test_only_the_last_end_of_a_process_decides_whether_memory_was_low():
    low = "Failure # 1 (occurred at 1)\n1 worker(s) were killed: the node running low on memory."
    died = "Failure # 1 (occurred at 2)\nThe actor died unexpectedly before finishing this task."
    assert tuner.out_of_memory(f"{died}\n\n{low}\nmore\n").startswith("out of memory: 1 worker")
    assert tuner.out_of_memory(f"{low}\nmore\n\n{died}\n") == "" == tuner.out_of_memory("")


def test_the_cause_is_one_line():
    assert cause(MemoryError("17 GiB")) == "out of memory: 17 GiB"
    assert cause(ValueError("first\n  second")) == "ValueError: first second"


@pytest.mark.parametrize(
    ("status", "expected_text"), [("failed", "FAIL"), ("diverged", "PRUNED"), ("pruned", "PRUNED")]
)
def test_the_study_knows_what_has_no_figure_and_it_is_never_best(status, expected_text):
    from tests.spaces import SIGMA

    ledger = Ledger([(0.5,), (0.7,)], [0, 1], lambda *_: None)
    ledger.record((0.5,), 0, "converged", (80.0,))
    ledger.record((0.5,), 1, status, None)
    ledger.record((0.7,), 0, "converged", (70.0,))
    distributions = {"sigma": SIGMA.distribution()}
    assert ledger.mean((0.5,)) is None
    assert known_trial(ledger, (0.5,), distributions).state.name == expected_text
    assert known_trial(ledger, (0.7,), distributions).state.name == "RUNNING"
    # A failed trial may run again when the sweep is resumed.
    ledger.record((0.5,), 1, "converged", (82.0,))
    assert known_trial(ledger, (0.5,), distributions).state.name == "COMPLETE"


def test_only_what_kept_a_record_from_being_written_is_called_so():
    try:
        try:
            raise StorageError("result.json", "No space left on device")
        except StorageError as full:
            raise RuntimeError("Tune") from full
    except RuntimeError as wrapped:
        assert "No space left" in str(storage_problem(wrapped))
    assert storage_problem(OSError(28, "No space left on device")) is None, "of no record"
    assert storage_problem(ValueError("x")) is None and storage_problem(None) is None
