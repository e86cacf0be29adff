import math
from types import SimpleNamespace

import pytest
import torch

from gon_core.formats import EVALUATION_FORMAT, TRAINING_FORMAT
from gon_core.training import StoppedError
from gon_core.training.checkpoints import MODEL
from sweeps.engine.records import Checkpoint
from sweeps.engine.system.errors import StorageError
from sweeps.engine.trials.trial import VALIDATION_METRIC, best_epoch, run_trial

pytestmark = pytest.mark.usefixtures("small_model")


class Killed(BaseException):
    """Stands for a process that dies: no handler of ours may catch it."""


def run(config, data, weights, records, **keywords):
    return run_trial(config, data, weights, records.trial(config.trial_id), **keywords)


def timeless(result):
    """Return all that a repetition must reproduce."""
    history = [
        {name: value for name, value in entry.items() if not name.endswith("seconds")}
        for entry in result.history
    ]
    return result.status, history, result.measurements, result.objective, result.best_epoch


def test_a_trial_is_trained_evaluated_and_recorded(config, data, start_weights, records):
    seen = []
    result = run(config, data, start_weights, records, report=seen.append)
    assert [entry["epoch"] for entry in seen] == [1, 2]
    assert [entry["epoch"] for entry in result.history] == [1, 2, 3]
    assert result.status == "max_epochs" and len(result.measurements) == 2 * 16
    assert {row.count for row in result.measurements if row.split == "test"} == {20}
    corrupted = [
        row.value
        for row in result.measurements
        if row.split == "validation" and row.setting != "clean"
    ]
    assert result.objective == pytest.approx(sum(corrupted) / 15)
    assert records.trial(config.trial_id).result() == result
    formats = (result.training_format, result.evaluation_format)
    assert formats == (TRAINING_FORMAT, EVALUATION_FORMAT)
    assert torch.__version__.startswith(result.torch) and result.device_type == "cpu"
    assert records.trials() == {config.trial_id: config}


def test_a_finished_trial_is_not_trained_again(config, data, start_weights, records):
    first = run(config, data, start_weights, records)
    forbidden = SimpleNamespace()
    assert run(config, forbidden, start_weights, records) == first


@pytest.mark.system
@pytest.mark.parametrize("killed_after", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_trial_ends_bit_identical_to_an_undisturbed_one(
    killed_after, config, data, start_weights, records, tmp_path
):
    undisturbed = run(config, data, start_weights, records)
    weights = records.trial(config.trial_id).folder.read(MODEL)

    def die(metrics):
        if metrics["epoch"] == killed_after:
            raise Killed

    again = type(records)(records.folder / "again")
    with pytest.raises(Killed):
        run(config, data, start_weights, again, report=die)
    assert again.trial(config.trial_id).result() is None
    epochs = []
    resumed = run(
        config, data, start_weights, again, report=lambda entry: epochs.append(entry["epoch"])
    )
    assert epochs == [1, 2]
    assert timeless(resumed) == timeless(undisturbed)
    assert again.trial(config.trial_id).folder.read(MODEL) == weights


@pytest.mark.system
@pytest.mark.parametrize("both", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_checkpoint_whose_content_fits_no_training_gives_way_to_the_one_before(
    both, config, data, start_weights, records
):
    undisturbed = run(config, data, start_weights, records)

    def die(metrics):
        if metrics["epoch"] == 2:
            raise Killed

    again = type(records)(records.folder / "again")
    with pytest.raises(Killed):
        run(config, data, start_weights, again, report=die)
    trial = again.trial(config.trial_id)
    for epoch in (1, 2) if both else (2,):  # under right hashes
        files = {name: b"{}" for name in (MODEL, "training.safetensors", "state.json")}
        history = [dict(entry) for entry in undisturbed.history[:epoch]]
        trial.write_checkpoint(Checkpoint(epoch, files, history))
    resumed = run(config, data, start_weights, again)
    assert timeless(resumed) == timeless(undisturbed)
    assert trial.attempts()[-1].from_epoch == (0 if both else 1)
    assert len(resumed.notes) == 1 + both and "not the weights of a SmallCNN" in resumed.notes[0]


def test_a_stop_whose_checkpoint_cannot_be_written_is_a_stop_and_no_failure(
    config, data, start_weights, records, monkeypatch
):
    def away(*_):
        raise StorageError("s3://bucket", "the network is gone")

    kept = records.trial(config.trial_id)
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(type(kept), "write_checkpoint", away)
        run_trial(config, data, start_weights, kept, checkpoint_every=9, stop=lambda: True)
    assert kept.result() is None
    assert run_trial(config, data, start_weights, kept).status == "max_epochs"


def test_an_infinite_loss_ends_the_trial_as_diverged(config, data, start_weights, records):
    training = config.training.model_copy(update={"learning_rate": 1e12})
    wild = config.model_copy(update={"training": training})
    result = run(wild, data, start_weights, records)
    assert result.status == "diverged" and "not finite" in result.reason
    assert result.objective is None and result.measurements == []
    assert not math.isfinite(records.trial(wild.trial_id).result().history[-1]["train_loss"])


def test_an_error_is_a_result_with_its_traceback_and_may_run_again(
    config, data, start_weights, records
):
    failed = run(config, data, start_weights[:100], records)
    assert failed.status == "failed" and not failed.is_final
    assert "Traceback" in failed.reason
    assert run(config, data, start_weights, records).status == "max_epochs"


@pytest.mark.slow
def test_the_seed_changes_the_result_and_the_sigma_does(config, data, start_weights, records):
    results = [
        run(config.model_copy(update=change), data, start_weights, records)
        for change in ({}, {"seed": 1}, {"method": config.method.model_copy(update={"sigma": 0.1})})
    ]
    losses = {result.history[-1]["train_loss"] for result in results}
    assert len(losses) == 3 and len({result.trial_id for result in results}) == 3


def test_the_best_epoch_is_the_first_of_equals():
    history = [{"epoch": float(e), VALIDATION_METRIC: v} for e, v in [(1, 5.0), (2, 7.0), (3, 7.0)]]
    assert best_epoch(history) == 2 and best_epoch([]) is None
