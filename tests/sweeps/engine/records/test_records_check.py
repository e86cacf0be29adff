"""``python -m sweeps.engine.records check``: what is damaged is found, named, and made again."""

import json
import os
import shutil
from pathlib import Path

import pytest

from gon_core.config import StartConfig
from sweeps.engine.records import MODEL, Checkpoint, SweepRecords, starting_models
from sweeps.engine.records.__main__ import main
from sweeps.engine.records.check import check
from sweeps.engine.records.lock import SweepLock
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.trial import run_trial
from tests.sweeps.engine.descriptions import describe

pytestmark = pytest.mark.usefixtures("small_model")


class Killed(BaseException):
    """Stands for a process that dies."""


def die(metrics):
    raise Killed


@pytest.fixture(scope="module")
def trained(config, data, start_weights, tmp_path_factory):
    """Two trials: one that ended, one that was killed after its first epoch."""
    records = SweepRecords(Folder(str(tmp_path_factory.mktemp("trained") / "sweep")))
    records.write_sweep(describe(grid=((0.5,), (0.7,)), seeds=(0, 1)))
    run_trial(config, data, start_weights, records.trial(config.trial_id))
    other = config.model_copy(update={"seed": 1})
    with pytest.raises(Killed):
        run_trial(other, data, start_weights, records.trial(other.trial_id), report=die)
    return records, config.trial_id, other.trial_id


@pytest.fixture
def sweep(trained, records):
    """Return the records of a sweep of two trials, to be damaged, and the trials' ids."""
    whole, ended, killed = trained
    shutil.copytree(whole.folder.path, records.folder.path)
    return records, ended, killed


def flip(folder, name):
    content = bytearray(folder.read(name))
    content[len(content) // 2] ^= 1
    folder.write(name, bytes(content))


def states(records):
    return {trial.trial_id: trial.state for trial in check(records).trials}


def test_what_is_whole_is_called_complete_and_what_was_killed_interrupted(sweep, capsys):
    records, ended, killed = sweep
    assert states(records) == {ended: "complete", killed: "interrupted"}
    found = check(records)
    assert found.is_whole and found.not_begun == 2 and found.driver == ""
    assert main(["check", records.folder.uri]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 complete, 1 interrupted, 2 not begun" in printed
    assert "checkpoint of epoch 1" in printed and "Every hash is right" in printed


def test_while_a_driver_lives_its_trials_run(sweep):
    records, _, killed = sweep
    with SweepLock(records.folder):
        assert states(records)[killed] == "running"
        assert f"process {os.getpid()}" in check(records).driver


@pytest.mark.parametrize(
    ("name", "says"),
    [(MODEL, "SHA-256"), ("right.safetensors", "SHA-256"), ("result.json", "damaged"),
     ("trial.json", "damaged"), ("turn.json", "damaged")],
)  # fmt: skip
def test_one_flipped_bit_is_found_wherever_it_is(name, says, sweep, capsys):
    records, ended, _ = sweep
    folder = records.trial(ended).folder
    records.trial(ended).write_ask_index(0)
    if name == "turn.json":
        folder.write(name, b'{"turn": "x"}')
    else:
        flip(folder, name)
    (trial,) = [t for t in check(records).trials if t.trial_id == ended]
    assert trial.state == "broken" and name in trial.problems[0] and says in trial.problems[0]
    assert main(["check", records.folder.uri]) == 1
    assert name in capsys.readouterr().out


def test_a_missing_file_and_a_damaged_checkpoint_are_found(sweep):
    records, ended, killed = sweep
    records.trial(ended).folder.remove(MODEL)
    flip(records.trial(killed).folder / "checkpoints" / "epoch-000001", "training.safetensors")
    found = {trial.trial_id: trial for trial in check(records).trials}
    assert found[ended].problems == (f"{MODEL} is missing",)
    assert found[killed].state == "interrupted" and "epoch-000001" in found[killed].problems[0]
    assert not check(records).is_whole


def test_a_damaged_checkpoint_of_the_vanilla_model_is_found(sweep, config, data):
    records, _, _ = sweep
    start = StartConfig(data=config.data, training=config.training)
    config_of_sweep = {"start": start.model_dump(mode="json")}
    records.write_sweep(describe(data_digest="abc", config=config_of_sweep))
    kept = starting_models.folder(records.folder.parent, start, "abc")
    config = starting_models.trial_config(start)
    trial = starting_models.training_records(kept, "mine").trial(config.trial_id)
    with pytest.raises(Killed):
        run_trial(config, data, None, trial, report=die, evaluates=False)
    begun = trial.folder / "checkpoints"
    assert begun.names() == ["epoch-000001"] and check(records).problems == ()
    flip(begun / "epoch-000001", "model.safetensors")
    (problem,) = check(records).problems
    assert "epoch-000001 passed over" in problem and str(kept.path) in problem


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("turn.json", '{"turn": Infinity}'),
        ("turn.json", '{"turn": "first"}'),
        ("turn.json", "[" * 10**5),
        ("attempts/000002.json", '{"passed_over": 5}'),
        ("attempts/000002.json", "[" * 10**5),
        ("../.DS_Store", "x"),
        ("../notes/turn.json", "x"),
        ("attempts/notes.txt", "x"),
        ("../../drivers/a.json", '{"beat": "x"}'),
        ("../../drivers/a.json", "[" * 10**5),
        ("../../drivers/folder/a.json", "x"),
        ("../../drivers/folder.json/a.json", "x"),
        ("attempts/000002.json/inside", "x"),
        ("../../usage/000001.json.bak", "{}"),
    ],
)
def test_whatever_lies_about_is_passed_over(name, content, sweep, tmp_path):
    records, _, killed = sweep
    path = Path(records.trial(killed).folder.path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    found = check(records)
    assert [trial.trial_id for trial in found.trials] == records.names()
    assert found.is_whole or name == "turn.json"
    records.trial(killed).write_attempt(records.trial(killed).attempts()[-1])
    assert len(records.trial(killed).attempts()) == 2
    assert path.read_text() == content, "nothing is written over it"
    with SweepLock(records.folder):
        assert records.usage.next_name() == "000001.json"


@pytest.mark.system
def test_a_file_of_an_ended_trial_is_made_again_once_its_result_is_removed(
    sweep, config, data, start_weights, capsys
):
    records, ended, _ = sweep
    trial = records.trial(ended)
    whole = trial.folder.read(MODEL)
    flip(trial.folder, MODEL)
    assert main(["check", records.folder.uri]) == 1
    assert "result.json" in capsys.readouterr().out
    run_trial(config, data, start_weights, trial)
    assert states(records)[ended] == "broken"
    trial.forget_result()
    run_trial(config, data, start_weights, trial)
    assert states(records)[ended] == "complete" and trial.folder.read(MODEL) == whole


def test_brackets_in_what_is_recorded_are_no_markup(sweep, config, capsys):
    records, ended, _ = sweep
    reason = "[/gloo/buffer.cc:78] timed out"
    result = records.trial(ended).read_result().model_copy(
        update={"status": "failed", "reason": reason}
    )  # fmt: skip
    records.trial(ended).write_result(result)
    main(["check", records.folder.path])
    assert "[/gloo/buffer.cc:78] timed" in capsys.readouterr().out


def test_every_single_digit_of_a_result_counts(sweep):
    records, ended, _ = sweep
    folder = records.trial(ended).folder
    content = json.loads(folder.read("result.json"))
    content["objective"] += 0.1
    folder.write_json("result.json", content)
    assert records.trial(ended).result() is None
    assert records.results() == []


def test_a_damaged_result_is_made_again(sweep, config, data, start_weights, caplog):
    records, ended, _ = sweep
    before = records.trial(ended).result()
    flip(records.trial(ended).folder, "result.json")
    again = run_trial(config, data, start_weights, records.trial(ended))
    assert "result.json is damaged" in caplog.text
    assert again.measurements == before.measurements and again.files == before.files
    assert check(records).trials[0].state != "broken"


def test_a_foreign_checkpoint_is_refused_with_the_difference_named(
    sweep, config, data, start_weights, monkeypatch
):
    records, _, killed = sweep
    trial = records.trial(killed)
    foreign = records.trial(config.model_copy(update={"seed": 7}).trial_id)
    foreign.write_config(config.model_copy(update={"seed": 7}))
    foreign.write_checkpoint(Checkpoint(2, trial.latest_checkpoint().files, [{"epoch": 1.0}]))
    theirs, ours = foreign.folder / "checkpoints/epoch-000002", trial.folder / "checkpoints"
    for name in theirs.names():
        (ours / "epoch-000002").write(name, theirs.read(name))
    checkpoint, passed_over = trial.find_checkpoint()
    assert checkpoint.epoch == 1
    assert "another config: seed 7, here 1" in passed_over[0]

    newer = {"training_format": 99, "torch": "9.9"}
    monkeypatch.setattr("sweeps.engine.records.checkpoint.training_code", lambda: newer)
    checkpoint, passed_over = trial.find_checkpoint()
    assert checkpoint is None
    assert "another code: training_format 1, here 99; torch " in passed_over[-1]
    assert "here 9.9" in passed_over[-1]
    other = config.model_copy(update={"seed": 1})
    result = run_trial(other, data, start_weights, trial)
    assert result.status == "max_epochs" and "another code" in " ".join(result.notes)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no sweep.json"), (b"{", "damaged (Expecting"), (b"[]", "damaged (it must be")],
)
def test_a_folder_that_is_no_sweep_is_bad_input(content, says, tmp_path, capsys):
    if content is not None:
        (tmp_path / "sweep.json").write_bytes(content)
    assert main(["check", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert says in printed and printed.count("\n") == 1


def test_flipped_bits_of_a_checkpoint_are_all_seen(sweep):
    records, _, killed = sweep
    trial = SweepRecords(records.folder).trial(killed)
    folder = trial.folder / "checkpoints" / "epoch-000001"
    names = sorted(folder.names())
    for number in range(40):
        name = names[number % len(names)]
        content = folder.read(name)
        damaged = bytearray(content)
        damaged[(number * 7919) % len(damaged)] ^= 1 << number % 8
        folder.write(name, bytes(damaged))
        assert trial.latest_checkpoint() is None, (name, number)
        folder.write(name, content)
    assert trial.latest_checkpoint() is not None
