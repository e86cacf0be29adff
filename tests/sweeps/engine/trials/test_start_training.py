"""The vanilla model is trained once, whatever ends its training in between."""

import json
import logging

import pytest

from gon_core.config import StartConfig, TrainingConfig
from gon_core.training import StoppedError
from sweeps.engine.records import starting_models
from sweeps.engine.records.starting_models import DivergedStartError, StartModel, stored
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials import start_training
from sweeps.engine.trials.start_training import train_start
from tests.sweeps.engine.conftest import DATA

EPOCHS, STEPS = 4, 3  # of an epoch
START = StartConfig(
    data=DATA, training=TrainingConfig(batch_size=100, learning_rate=0.02, max_epochs=EPOCHS)
)


@pytest.fixture(scope="module")
def few(data):
    return data.training


@pytest.fixture(scope="module")
def undisturbed(few, tmp_path_factory):
    folder = Folder(str(tmp_path_factory.mktemp("undisturbed")))
    *_, model = train_start(START, few, folder)
    return model


@pytest.fixture
def kept(tmp_path):
    return Folder(str(tmp_path / "kept"))


@pytest.fixture
def begun(kept):
    return starting_models.checkpoints(kept, "mine")


def timeless(model):
    history = [{**epoch, "seconds": 0} for epoch in model.history]
    return model.weights, history


def train_until(epoch, few, begun, **keywords):
    """Train until an epoch is told, as by a process that is then killed; return those told."""
    told = []
    for news in train_start(START, few, begun, **keywords):
        told.append(news.epoch)
        if news.epoch == epoch:
            return told
    raise AssertionError("it came to its end")


@pytest.mark.parametrize("every", [1, 2])
def test_killed_after_every_epoch_it_ends_bit_identical_and_loses_one_interval_at_most(
    every, few, undisturbed, begun
):
    held = 0
    for epoch in range(1, EPOCHS + 1):
        told = train_until(epoch, few, begun, checkpoint_every=every) if held < epoch else []
        assert told == list(range(held + 1, epoch + 1))
        held = epoch if epoch % every == 0 or epoch == EPOCHS else held
    (model,) = train_start(START, few, begun)  # no epoch is trained again
    assert timeless(model) == timeless(undisturbed)


def test_stopped_after_every_step_it_ends_bit_identical_and_repeats_nothing(
    few, undisturbed, begun
):
    told = []
    for step in range(1, EPOCHS * STEPS + 1):
        with pytest.raises(StoppedError):
            for news in train_start(START, few, begun, checkpoint_every=9, stop=lambda: True):
                told.append(news.epoch)
        newest = begun.names()[-1]
        epoch, steps = divmod(step - 1, STEPS)
        assert newest == f"epoch-{epoch:06d}-step-{steps + 1:06d}"
    *metrics, model = train_start(START, few, begun)
    assert told + [news.epoch for news in metrics] == list(range(1, EPOCHS + 1))
    assert timeless(model) == timeless(undisturbed)


@pytest.mark.parametrize("how", ["truncated", "a flipped bit", "another start"])
def test_a_damaged_or_foreign_checkpoint_gives_way_to_the_one_before(
    how, few, undisturbed, begun, caplog
):
    train_until(3, few, begun)
    folder = begun / "epoch-000003"
    if how == "another start":
        manifest = folder.read_json("manifest.json")
        manifest["config"]["seed"] = 7
        folder.write_json("manifest.json", manifest)
    else:
        content = folder.read("model.safetensors")
        flipped = content[:999] + bytes([content[999] ^ 1]) + content[1000:]
        folder.write("model.safetensors", content[:-1] if how == "truncated" else flipped)
    with caplog.at_level(logging.WARNING):
        first, *_, model = train_start(START, few, begun)
    assert first.epoch == 3 and "vanilla model: checkpoint epoch-000003" in caplog.text
    assert timeless(model) == timeless(undisturbed)


def test_where_no_checkpoint_can_be_written_it_is_trained_all_the_same(
    few, undisturbed, begun, monkeypatch, caplog
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(start_training.records, "write", full)
    *_, model = train_start(START, few, begun)
    assert timeless(model) == timeless(undisturbed)
    assert "no checkpoint could be taken: [Errno 28] No space" in caplog.text


def test_the_checkpoints_are_removed_once_the_model_is_whole(few, undisturbed, kept, begun):
    train_until(2, few, begun)
    told = []

    def get():
        return starting_models.get(
            kept, START, begun, lambda: train_start(START, few, begun), told.append
        )

    assert get() == undisturbed.weights == stored(kept)
    assert [metrics.epoch for metrics in told] == [3, 4]  # what is metered is what was trained
    assert kept.names() == ["model.safetensors", "start.json"]
    said = json.loads(kept.read("start.json"))
    assert [entry["epoch"] for entry in said["history"]] == [1, 2, 3, 4]
    begun.write("left/behind", b"")  # by a driver that was killed at this moment
    assert get() == undisturbed.weights and not begun.exists() and len(told) == 2


def test_two_sweeps_that_train_it_do_not_share_checkpoints(kept):
    one, other = (starting_models.checkpoints(kept, name) for name in ("one", "other"))
    assert one.path != other.path and one.parent.path == other.parent.path == kept.path


def test_one_that_diverges_is_no_model(few, kept, begun):
    training = START.training.model_copy(update={"learning_rate": 1e6})
    wild = START.model_copy(update={"training": training})
    with pytest.raises(DivergedStartError):
        starting_models.get(
            kept, wild, begun, lambda: train_start(wild, few, begun), lambda metrics: None
        )
    assert stored(kept) is None


def test_a_training_yields_its_model_last(few, begun):
    *metrics, model = train_start(START, few, begun)
    assert len(metrics) == len(model.history) == EPOCHS and isinstance(model, StartModel)
