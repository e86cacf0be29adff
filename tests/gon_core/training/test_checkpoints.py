"""A training that was interrupted goes on as if nothing had happened."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from gon_core.config import GNT, TrainingConfig, Vanilla
from gon_core.models import MadryCNN
from gon_core.seeding import generator
from gon_core.training import checkpoints, new_state, train

# Two epochs, decay, two epochs, converged: no epoch improves by 99 %.
CONFIG = TrainingConfig(batch_size=20, learning_rate=0.05, patience=1, min_improvement=0.99)
EVENTS = ["continue", "decay", "continue", "converged"]


def fresh(seed=0):
    """Return a state before its first epoch."""
    return new_state(MadryCNN(generator(seed, "initial weights")), CONFIG, seed)


def proceed(state, data, method):
    """Train to the end; return the metrics but for the clock, and a checkpoint after each epoch."""
    history, dumps = [], [checkpoints.dump(state)]
    for metrics in train(state, data, method, CONFIG):
        history.append(replace(metrics, seconds=0.0, data_seconds=0.0))
        dumps.append(checkpoints.dump(state))
    return history, dumps


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Vanilla(), marks=pytest.mark.slow, id="vanilla"),
        pytest.param(GNT(sigma=0.3), id="gnt"),
    ],
)
def undisturbed(request, mnist):
    """A whole training with a checkpoint after every epoch."""
    data = mnist[0][:50]
    history, dumps = proceed(fresh(), data, request.param)
    assert [metrics.event for metrics in history] == EVENTS
    return request.param, data, history, dumps


@pytest.mark.system
@pytest.mark.parametrize("epoch", range(4))
def test_a_restored_training_ends_on_the_same_bits(undisturbed, epoch):
    method, data, history, dumps = undisturbed
    state = fresh(seed=99)
    next(train(state, data, method, CONFIG))  # leaves other momentum, streams and epoch behind
    checkpoints.restore(state, dumps[epoch])
    rest, rest_dumps = proceed(state, data, method)
    assert rest == history[epoch:]
    assert rest_dumps == dumps[epoch:]  # weights, momentum, streams, learning rate: every byte


@pytest.mark.system
def test_dumping_changes_nothing(undisturbed):
    method, data, history, dumps = undisturbed
    state = fresh()
    *_, last = train(state, data, method, CONFIG)
    assert replace(last, seconds=0.0, data_seconds=0.0) == history[-1]
    assert checkpoints.dump(state) == dumps[-1] == checkpoints.dump(state)


@pytest.mark.system
def test_a_restored_model_keeps_its_fast_memory_format(undisturbed):
    state = fresh(seed=99)
    checkpoints.restore(state, undisturbed[3][1])
    weight = state.model.conv2.weight
    momentum = state.optimizer.state[weight]["momentum_buffer"]
    for tensor in (weight, momentum):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_the_files_are_safetensors_and_json(undisturbed):
    before, after = undisturbed[3][0], undisturbed[3][2]
    assert list(after) == ["model.safetensors", "training.safetensors", "state.json"]
    names = set(MadryCNN().state_dict())
    streams = {"stream.data order", "stream.noise"}
    assert set(load(after["model.safetensors"])) == names
    assert set(load(before["training.safetensors"])) == streams
    assert set(load(after["training.safetensors"])) == streams | {f"momentum.{n}" for n in names}
    rest = json.loads(after["state.json"])
    assert rest["convergence"]["epoch"] == 2 and rest["convergence"]["decayed"] == 1
    assert not any(b"torch" in content or content[:1] == b"\x80" for content in after.values())


def test_training_without_momentum_is_restored_too(mnist):
    config = TrainingConfig(batch_size=50, momentum=0, max_epochs=2)
    data = mnist[0][:100]
    state = new_state(MadryCNN(), config, seed=0)
    epochs = train(state, data, Vanilla(), config)
    next(epochs)
    files = checkpoints.dump(state)
    next(epochs)
    other = new_state(MadryCNN(generator(9)), config, seed=9)
    checkpoints.restore(other, files)
    next(train(other, data, Vanilla(), config))
    assert checkpoints.dump(other) == checkpoints.dump(state)


def test_weights_alone_are_restored_bit_by_bit():
    source, target = MadryCNN(generator(1)), MadryCNN(generator(2))
    checkpoints.restore_model(target, checkpoints.dump_model(source))
    assert checkpoints.dump_model(target) == checkpoints.dump_model(source)


def changed(content, **tensors):
    """Return a safetensors file with some tensors replaced, or left out where None."""
    kept = load(content) | {name.replace("__", "."): value for name, value in tensors.items()}
    return save({name: value for name, value in kept.items() if value is not None})


@pytest.mark.parametrize(
    "tensors",
    [
        {"logits__bias": None},
        {"logits__bias": torch.zeros(11)},
        {"logits__bias": torch.zeros(1)},
        {"foreign__weight": torch.zeros(3)},
    ],
    ids=["missing", "wrong shape", "broadcastable shape", "unexpected"],
)
def test_weights_of_another_model_are_refused(tensors):
    weights = changed(checkpoints.dump_model(MadryCNN()), **tensors)
    with pytest.raises(ValueError, match="not the weights of a MadryCNN"):
        checkpoints.restore_model(MadryCNN(), weights)


@pytest.mark.parametrize("weights", [b"", b"\x80\x04 pickle", b"\xff" * 100])
def test_bytes_that_are_no_weights_are_refused(weights):
    with pytest.raises(ValueError, match="not the weights of a MadryCNN"):
        checkpoints.restore_model(MadryCNN(), weights)


@pytest.mark.parametrize(
    "tensors",
    [
        {"momentum__conv1.bias": None},
        {"momentum__conv1.bias": torch.zeros(1)},
        {"momentum__conv1.bias": torch.zeros(33)},
        {"stream__noise": None},
        {"stream__noise": torch.zeros(3, dtype=torch.uint8)},
    ],
    ids=["no momentum", "broadcastable momentum", "wrong momentum", "no stream", "wrong stream"],
)
def test_the_state_of_another_training_is_refused(undisturbed, tensors):
    files = dict(undisturbed[3][1])
    files["training.safetensors"] = changed(files["training.safetensors"], **tensors)
    with pytest.raises(ValueError, match=r"momentum|noise|RNG state"):
        checkpoints.restore(fresh(), files)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"learning_rate": 1}'])
def test_a_broken_state_is_refused(undisturbed, content):
    with pytest.raises(ValueError, match="not the checkpoint of such a training"):
        checkpoints.restore(fresh(), undisturbed[3][1] | {"state.json": content})


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "state.json"])
def test_a_missing_file_is_named(undisturbed, name):
    files = dict(undisturbed[3][1])
    del files[name]
    with pytest.raises(ValueError, match=f"not a checkpoint: {name} missing"):
        checkpoints.restore(fresh(), files)
