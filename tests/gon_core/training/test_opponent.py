"""Adversarial noise training that was interrupted goes on as if nothing had happened."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from gon_core.config import ANT, GNT, TrainingConfig
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, new_state, train
from tests.small_model import SmallCNN

EPOCHS = 4
CONFIG = TrainingConfig(batch_size=10, learning_rate=0.05, max_epochs=EPOCHS)
NO_REPLAY = {"current_share": 0.5, "past_share": 0}
# Six steps an epoch: replaced every 2 steps, every 4 (in the middle of an epoch), every 9, never.
METHODS = [
    ANT(epsilon=5.0, reset_interval=interval, pretraining_steps=3, **replay)
    for interval, replay in ((0.33, {}), (0.7, NO_REPLAY), (1.5, {}), ("never", NO_REPLAY))
] + [ANT(epsilon=5.0, reset_interval=0.5, kernel_size=3, depth=2, pretraining_steps=0)]


def proceed(state, data, method, config=CONFIG):
    """Train to the end; return the metrics but for the clock, and a checkpoint after each epoch."""
    history, dumps = [], [checkpoints.dump(state)]
    for metrics in train(state, data, method, config):
        history.append(replace(metrics, seconds=0.0, data_seconds=0.0))
        dumps.append(checkpoints.dump(state))
    return history, dumps


@pytest.fixture(scope="module")
def undisturbed(mnist, small_state):
    """Return a function: a whole training with a method, and a checkpoint after every epoch."""
    done = {}

    def run(method):
        if method not in done:
            state = small_state(CONFIG, method=method)
            done[method] = proceed(state, mnist[0][:60], method)
        return done[method]

    return run


@pytest.mark.system
@pytest.mark.parametrize(
    "epoch", [pytest.param(n, marks=() if n == 1 else pytest.mark.slow) for n in range(EPOCHS)]
)
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(each, marks=() if number == 3 else pytest.mark.slow)
        for number, each in enumerate(METHODS)
    ],
    ids=[f"{each.reset_interval}" for each in METHODS],
)
def test_a_restored_training_ends_on_the_same_bits(undisturbed, small_state, digits, method, epoch):
    history, dumps = undisturbed(method)
    assert [metrics.event for metrics in history] == ["continue"] * 3 + ["max_epochs"]
    state = small_state(CONFIG, seed=99, method=method)
    next(train(state, digits(60), method, CONFIG))  # leaves other generators and moments behind
    checkpoints.restore(state, dumps[epoch])
    rest, rest_dumps = proceed(state, digits(60), method)
    assert rest == history[epoch:]
    assert rest_dumps == dumps[epoch:]  # every byte: generator, moments, the past, streams


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_cnn_ends_on_the_same_bits_too(digits, precision):
    config = TrainingConfig(batch_size=5, learning_rate=0.05, max_epochs=2, precision=precision)
    method, data = METHODS[0], digits(20)
    history, dumps = proceed(new_state(SmallCNN(), config, 0, method), data, method, config)
    state = new_state(SmallCNN(generator(9)), config, 9, method)
    checkpoints.restore(state, dumps[1])
    assert proceed(state, data, method, config) == (history[1:], dumps[1:])


@pytest.mark.system
def test_an_epoch_that_was_broken_off_leaves_no_trace(undisturbed, small_state, digits):
    method = METHODS[0]
    history, dumps = undisturbed(method)
    state = small_state(CONFIG, method=method)
    state.method_state.sums += 7.0
    checkpoints.restore(state, dumps[2])
    assert proceed(state, digits(60), method) == (history[2:], dumps[2:])


@pytest.mark.system
def test_the_checkpoint_holds_the_generator_its_moments_and_the_past(undisturbed):
    _, dumps = undisturbed(METHODS[0])
    before, after = (load(dumps[epoch]["training.safetensors"]) for epoch in (0, 2))
    own = {name.removeprefix("method.") for name in after if name.startswith("method.")}
    parameters = {f"layers.{index}.{kind}" for index in range(4) for kind in ("weight", "bias")}
    moments = {f"{name}.{m}" for name in parameters for m in ("exp_avg", "exp_avg_sq", "step")}
    rest = {f"generator.{name}" for name in parameters} | {"steps", "resets", "replay", "sums"}
    assert own == {f"adam.{name}" for name in moments} | rest
    assert {name for name in before if name.startswith("method.")} == {f"method.{n}" for n in rest}
    streams = {"data order", "noise", "generator weights", "pretraining order", "replay"}
    assert {name for name in after if name.startswith("stream.")} == {
        f"stream.{name}" for name in streams
    }
    assert before["method.replay"].shape == (0, 901)  # one channel: 40 + 420 + 420 + 21
    assert after["method.replay"].shape == (5, 901) and after["method.steps"] == 12
    assert after["method.resets"] == 5


@pytest.mark.parametrize(
    ("made_for", "restored_into", "message"),
    [
        (None, METHODS[0], "another method"),
        (GNT(sigma=0.3), METHODS[0], "another method"),
        (METHODS[0], None, "another method"),
        (METHODS[0], GNT(sigma=0.3), "another method"),
        (METHODS[0], ANT(epsilon=5.0, depth=3), "depth 3 and kernel size 1: "),
        (METHODS[0], ANT(epsilon=5.0, depth=5), "depth 5 and kernel size 1: .*layers.3"),
        (METHODS[0], ANT(epsilon=5.0, kernel_size=3), "depth 4 and kernel size 3: .*layers.1"),
        (ANT(epsilon=5.0, depth=1), METHODS[0], "depth 4 and kernel size 1: "),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    small_state, made_for, restored_into, message
):
    files = checkpoints.dump(small_state(CONFIG, method=made_for))
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(small_state(CONFIG, method=restored_into), files)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generator.layers.0.weight", None),
        ("generator.layers.0.weight", torch.zeros(1)),
        ("generator.layers.9.weight", torch.zeros(1)),
        ("adam.layers.1.bias.exp_avg", None),
        ("adam.layers.1.bias.exp_avg", torch.zeros(1)),
        ("adam.layers.1.bias.step", torch.zeros(20)),
        ("replay", None),
        ("replay", torch.zeros(())),
        ("replay", torch.zeros(2, 900)),
        ("steps", None),
        ("resets", torch.zeros(2)),
    ],
)
def test_a_damaged_opponent_is_refused(undisturbed, small_state, name, value):
    files = dict(undisturbed(METHODS[0])[1][2])
    tensors = load(files["training.safetensors"]) | {f"method.{name}": value}
    kept = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    with pytest.raises(ValueError, match=f"not the state of a noise generator.*: {name} has"):
        checkpoints.restore(
            small_state(CONFIG, method=METHODS[0]), files | {"training.safetensors": save(kept)}
        )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", torch.tensor(0), "0 of 3 steps"),
        ("steps", torch.tensor(4), "4 of 3 steps"),  # it would train alone for ever
        ("steps", None, "alone.order has"),
        ("order", None, "alone.order has"),
        ("order", torch.zeros(2, 30, dtype=torch.int64), "alone.order has"),
    ],
)
def test_a_damaged_place_of_a_generator_alone_is_refused(small_state, digits, name, value, message):
    method = ANT(epsilon=5.0, pretraining_steps=3)
    state = small_state(CONFIG, method=method)
    with pytest.raises(StoppedError):
        next(train(state, digits(30), method, CONFIG, lambda: True))
    files = checkpoints.dump(state)
    checkpoints.restore(small_state(CONFIG, method=method), files)
    tensors = load(files["training.safetensors"]) | {f"method.alone.{name}": value}
    kept = {key: tensor for key, tensor in tensors.items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(
            small_state(CONFIG, method=method), files | {"training.safetensors": save(kept)}
        )


def test_gnt_keeps_nothing_of_its_own(small_state):
    state = small_state(CONFIG, method=GNT(sigma=0.1))
    assert state.method_state is None and set(state.streams) == {"data order", "noise"}
    assert checkpoints.dump(state) == checkpoints.dump(small_state(CONFIG))
