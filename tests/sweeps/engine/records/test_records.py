import json
import logging
import math
import os
import pickle
from pathlib import Path

import pytest

from gon_core.config import GNT, DataConfig, TrainingConfig, TrialConfig
from gon_core.measurement import accuracy_row
from sweeps.engine.records import Checkpoint, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import OutsideError, StorageError

CONFIG = TrialConfig(
    method=GNT(sigma=0.5), data=DataConfig(), training=TrainingConfig(), start=None
)


@pytest.fixture
def trial(tmp_path):
    return SweepRecords(Folder(str(tmp_path / "sweep"))).trial(CONFIG.trial_id)


def checkpoint(epoch: int) -> Checkpoint:
    files = {"model.safetensors": bytes(range(256)) * epoch, "state.json": b"{}"}
    return Checkpoint(epoch, files, [{"epoch": float(i + 1)} for i in range(epoch)])


def result(**changes) -> TrialResult:
    return TrialResult(
        **({"trial_id": CONFIG.trial_id, "config": CONFIG, "status": "converged"} | changes)
    )


def test_a_checkpoint_comes_back_as_it_was_and_only_two_are_kept(trial):
    for epoch in (1, 2, 3):
        trial.write_checkpoint(checkpoint(epoch))
    assert trial.latest_checkpoint() == checkpoint(3)
    assert (trial.folder / "checkpoints").names() == ["epoch-000002", "epoch-000003"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest", "no file", "foreign"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage, trial, caplog):
    trial.write_checkpoint(checkpoint(1))
    trial.write_checkpoint(checkpoint(2))
    folder = trial.folder / "checkpoints" / "epoch-000002"
    content = folder.read("model.safetensors")
    if damage == "truncate":
        folder.write("model.safetensors", content[:-1])
    elif damage == "flip":
        folder.write("model.safetensors", content[:99] + bytes([content[99] ^ 1]) + content[100:])
    elif damage == "foreign":
        manifest = folder.read_json("manifest.json")
        folder.write_json("manifest.json", manifest | {"config": {"seed": 7}})
    else:
        name = "manifest.json" if damage == "no manifest" else "model.safetensors"
        os.remove(f"{folder.path}/{name}")
    with caplog.at_level(logging.WARNING):
        assert trial.latest_checkpoint() == checkpoint(1)
    assert "epoch-000002" in caplog.text


def test_after_checkpoints_were_passed_over_new_ones_stay(trial):
    for epoch in (8, 9, 10):
        trial.write_checkpoint(checkpoint(epoch))
    folder = trial.folder / "checkpoints"
    assert folder.names() == ["epoch-000009", "epoch-000010"]
    for name in folder.names():
        (folder / name).write("model.safetensors", b"damaged")
    assert trial.latest_checkpoint() is None
    for epoch in (1, 2, 3):
        trial.write_checkpoint(checkpoint(epoch))
        assert trial.latest_checkpoint() == checkpoint(epoch)
    assert folder.names() == ["epoch-000002", "epoch-000003"]


def test_without_checkpoints_there_is_none(trial):
    assert trial.latest_checkpoint() is None


def test_a_result_keeps_every_value_even_a_loss_that_is_not_a_number(trial):
    row = accuracy_row("test", "fog", 1, 9, 10)
    written = result(
        status="diverged", history=[{"epoch": 1.0, "train_loss": math.nan}], measurements=[row]
    )
    trial.write_result(written)
    read = trial.result()
    assert read.measurements == [row] and math.isnan(read.history[0]["train_loss"])
    assert read.config == CONFIG and read.trial_id == CONFIG.trial_id


def test_a_final_result_needs_no_checkpoints_a_failed_one_keeps_them(trial):
    trial.write_checkpoint(checkpoint(1))
    trial.write_result(result(status="failed"))
    assert trial.latest_checkpoint() is not None and not trial.result().is_final
    trial.write_result(result())
    assert trial.latest_checkpoint() is None and trial.result().is_final


def test_what_cannot_be_cleared_away_is_no_failure(trial, monkeypatch):
    def refuse(_):
        raise StorageError("s3://bucket", "silent")

    monkeypatch.setattr(Folder, "delete", refuse)
    for epoch in (1, 2, 3):
        trial.write_checkpoint(checkpoint(epoch))
    assert trial.latest_checkpoint() == checkpoint(3)
    trial.write_result(result())
    assert trial.result().status == "converged"


def test_an_interrupted_write_leaves_the_old_file(trial, monkeypatch):
    trial.folder.write("a.json", b"old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(StorageError, match="full"):
        trial.folder.write("a.json", b"new")
    assert trial.folder.read("a.json") == b"old" and trial.folder.names() == ["a.json"]


def test_a_relative_folder_is_the_same_from_every_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Folder("results")
    folder.write("a", b"1")
    monkeypatch.chdir("/")
    assert folder.read("a") == b"1"
    assert pickle.loads(pickle.dumps(folder)).read("a") == b"1"


def test_a_file_uri_is_a_filesystem_too(tmp_path):
    folder = Folder(f"file://{tmp_path}/deep/er")
    folder.write_json("a.json", {"b": 1})
    assert json.loads((tmp_path / "deep/er/a.json").read_text()) == {"b": 1}
    assert folder.names() == ["a.json"] and (folder / "none").names() == []


def test_a_sweep_lists_its_trials_begun_and_ended(tmp_path):
    records = SweepRecords(Folder(str(tmp_path)))
    other = CONFIG.model_copy(update={"seed": 1})
    for config in (CONFIG, other):
        records.trial(config.trial_id).write_config(config)
    records.trial(other.trial_id).write_result(result(trial_id=other.trial_id, config=other))
    assert records.trials() == {CONFIG.trial_id: CONFIG, other.trial_id: other}
    assert [ended.trial_id for ended in records.results()] == [other.trial_id]


@pytest.mark.parametrize("name", ["trial.json", "turn.json", "result.json"])
def test_a_record_that_is_a_link_out_of_its_folder_is_refused_not_made_again(name, trial, tmp_path):
    trial.write_config(CONFIG)
    trial.write_ask_index(3)
    trial.write_result(result())
    read = {"trial.json": trial.config, "turn.json": trial.ask_index, "result.json": trial.result}[
        name
    ]
    path, outside = Path(trial.folder.path) / name, tmp_path / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(OutsideError):
        read()
    path.unlink()
    path.symlink_to(name)  # a link to itself is no record
    assert read() == (10**9 if name == "turn.json" else None)
