"""Trials of other sweeps are found and copied if they are whole and were made alike."""

from importlib import metadata

import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from sweeps.engine.records import OtherSweeps, SweepRecords, TrialResult
from sweeps.engine.records.check import check
from sweeps.engine.records.other_sweeps import minor
from sweeps.engine.records.storage import Folder
from tests.sweeps.engine.descriptions import describe

CONFIG = TrialConfig(
    method=GNT(sigma=0.5), data=DataConfig(training_images=300),
    training=TrainingConfig(max_epochs=1), start=None,
)  # fmt: skip
FILES = {"model.safetensors": b"weights", "right.safetensors": b"right"}


@pytest.fixture
def storage(tmp_path):
    """A storage with a sweep ``one`` that has a trial, and an empty sweep ``two``."""
    found = Folder(str(tmp_path / "results"))
    for name in ("one", "two"):
        SweepRecords(found / name).write_sweep(describe(name=name, data_digest="d"))
    put(found)
    return found


def put(storage, sweep="one", **changes):
    """Record the trial in a sweep."""
    trial = SweepRecords(storage / sweep).trial(CONFIG.trial_id)
    trial.write_config(CONFIG)
    fields = {
        "trial_id": CONFIG.trial_id, "config": CONFIG, "status": "converged", "objective": 80.0,
        "device_type": "cpu",
    }  # fmt: skip
    trial.write_result(TrialResult(**(fields | changes)), FILES)
    return trial


def take(storage, **changes):
    """Return what a new sweep ``two`` gets of the trial."""
    fields = {"own_name": "two", "data_digest": "d", "device_type": "cpu"} | changes
    found = OtherSweeps.under(storage, **fields)
    target = SweepRecords(storage / fields["own_name"]).trial(CONFIG.trial_id)
    return found.take(CONFIG, target, ask_index=7), target


def test_a_whole_trial_is_copied_and_says_where_it_comes_from(storage):
    result, target = take(storage)
    assert result is not None and result.reused_from == "one"
    assert target.result() == result and target.config() == CONFIG and target.ask_index() == 7
    assert {name: target.folder.read(name) for name in FILES} == FILES
    checked = check(SweepRecords(storage / "two"))
    assert checked.is_whole
    (trial,) = checked.trials
    assert (trial.state, trial.detail) == ("complete", "converged, reused from one")


def test_a_copy_of_a_copy_names_the_sweep_that_trained_it(storage):
    take(storage)
    SweepRecords(storage / "one").folder.delete()
    result, _ = take(storage, own_name="three")
    assert result is not None and result.reused_from == "one"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"status": "pruned"},
        {"training_format": 0},
        {"evaluation_format": 0},
        {"torch": "1.13.0"},
        {"device_type": "cuda"},
        {"device_type": ""},
    ],
)
def test_what_ended_otherwise_or_was_made_otherwise_is_not_reused(changes, storage):
    put(storage, **changes)
    result, target = take(storage)
    assert result is None and not target.folder.exists()


def test_another_patch_release_of_torch_is_the_same(storage):
    here = ".".join(minor(metadata.version("torch")))
    put(storage, torch=f"{here}.99+cpu")
    assert take(storage)[0] is not None


@pytest.mark.parametrize("changes", [{"data_digest": "other"}, {"device_type": "cuda"}])
def test_other_data_and_other_devices_are_not_reused(changes, storage):
    assert take(storage, **changes)[0] is None


@pytest.mark.parametrize("name", ["model.safetensors", "right.safetensors", "result.json"])
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_what_is_not_whole_is_not_reused(name, how, storage):
    folder = SweepRecords(storage / "one").trial(CONFIG.trial_id).folder
    folder.write(name, b"damaged") if how == "damaged" else folder.remove(name)
    result, target = take(storage)
    assert result is None and not target.folder.exists("result.json")


def test_sweeps_that_cannot_be_read_are_passed_over(storage):
    (storage / "broken").write("sweep.json", b"{")
    (storage / "notes").write("text.txt", b"")
    storage.write("mlflow.db", b"")
    assert take(storage)[0] is not None
