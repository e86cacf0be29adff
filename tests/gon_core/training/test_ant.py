"""Adversarial noise training: who is trained on what, when generators are replaced."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parameters_to_vector
from torch.utils._python_dispatch import TorchDispatchMode

from gon_core.blank import blank
from gon_core.config import ANT, GNT, TrainingConfig, Vanilla
from gon_core.models import MadryCNN
from gon_core.noise import newton, scale_to_sphere
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, new_state, train
from gon_core.training.ant import (
    ascend,
    make_prepare,
    make_step,
    mix,
    reset_steps,
    split_batch,
    train_alone,
)
from gon_core.training.runner import EagerRunner
from tests.gon_core.noise.test_sphere import of_kind
from tests.small_model import SmallCNN

EPSILON = 5.0
NO_REPLAY = {"clean_share": 0.5, "current_share": 0.5, "past_share": 0}


def ant(**changes):
    """Return a method with little to do before it starts."""
    return ANT(**{"epsilon": EPSILON, "pretraining_steps": 2} | changes)


@pytest.fixture
def compiled(monkeypatch):
    """The kernels that users have."""
    kernels = of_kind("fused")
    monkeypatch.setattr(newton, "solver", lambda device_type: kernels)


class Witness(nn.Module):
    """A linear classifier that keeps what it was shown, and in which mode."""

    def __init__(self):
        super().__init__()
        self.linear = blank(nn.Linear, 784, 10)
        with torch.no_grad():
            self.linear.weight.normal_(0, 0.05, generator=generator(0))
            self.linear.bias.zero_()
        self.seen = []

    def forward(self, images):
        self.seen.append((self.training, images.detach().clone()))
        return self.linear(images.flatten(1))

    def take_seen(self, training):
        """Return the batches it was shown in one mode, and forget them all."""
        found = [images for mode, images in self.seen if mode == training]
        self.seen.clear()
        return found


def witnessed(data, method, config=None, seed=3):
    """Return a state around a witness, its step with what comes before, and all the images."""
    config = config if config is not None else TrainingConfig(batch_size=len(data))
    state = new_state(Witness(), config, seed, method)
    images = data.images.float() / 255
    both, prepare = make_step(method, config, data), make_prepare(method, config, data)
    runner = EagerRunner(state, data)

    def step(state, images, labels):
        """Take a whole step, with all that a fresh generator does alone before it."""
        while prepare(state, len(labels), runner):
            pass
        return both(state, images, labels)

    return state, step, images


def sizes(noisy, images):
    """Return the l2 size of each image's noise."""
    return (noisy - images).flatten(1).norm(dim=1)


SHARES = st.tuples(*[st.integers(0, 100)] * 2).filter(lambda cut: max(cut) > 0 and cut[0] != cut[1])


@given(st.integers(1, 2000), SHARES, st.booleans())
def test_a_batch_is_split_without_loss_and_the_current_generator_has_a_part(size, cuts, replay):
    low, high = sorted(cuts)
    method = ant(clean_share=low / 100, current_share=(high - low) / 100, past_share=1 - high / 100)
    clean, current, past = split_batch(size, method, replay)
    assert clean + current + past == size and min(clean, past) >= 0 and current >= 1
    assert (
        0 <= method.clean_share * size - clean < 1 + 1e-6
        or clean - method.clean_share * size < 1e-6
    )
    assert replay or past == 0
    assert not replay or past == pytest.approx(method.past_share * size, abs=1)


@pytest.mark.parametrize(
    ("size", "changes", "replay", "parts"),
    [
        (300, {}, True, [150, 90, 60]),
        (300, {}, False, [150, 150, 0]),
        (300, NO_REPLAY, True, [150, 150, 0]),
        (70, {}, True, [35, 21, 14]),
        (1, {}, True, [0, 1, 0]),
        (7, {}, True, [3, 3, 1]),
        (100, {"clean_share": 0, "current_share": 0.6, "past_share": 0.4}, True, [0, 60, 40]),
        (100, {"clean_share": 0, "current_share": 1, "past_share": 0}, True, [0, 100, 0]),
    ],
)
def test_the_parts_of_a_batch(size, changes, replay, parts):
    assert split_batch(size, ant(**changes), replay) == parts


@pytest.mark.parametrize(
    ("interval", "steps_per_epoch", "steps"),
    [
        (0.33, 184, 61),
        (0.33, 3, 1),
        (1.5, 10, 15),
        (20, 184, 3680),
        (1e-6, 10, 1),
        ("never", 10, math.inf),
    ],
)
def test_the_reset_interval_in_steps(interval, steps_per_epoch, steps):
    assert reset_steps(ant(reset_interval=interval), steps_per_epoch) == steps


@pytest.mark.parametrize("count", [40, 41])
def test_the_classifier_sees_clean_images_noise_of_the_present_and_of_the_past(digits, count):
    data = digits(count)
    method = ant(reset_interval=1, pretraining_steps=0)
    state, step, images = witnessed(data, method)
    before = images.clone()
    for index in range(4):
        step(state, images, data.labels)
        (seen,) = state.model.take_seen(training=True)
        clean, current, past = split_batch(count, method, replay=index > 0)
        assert torch.equal(seen[:clean], images[:clean])
        torch.testing.assert_close(
            sizes(seen, images)[clean:], torch.full([current + past], EPSILON)
        )
        assert seen.min() >= 0 and seen.max() <= 1
    assert torch.equal(images, before) and past == count // 5


def test_the_noise_is_that_of_the_generator_after_its_step_and_of_two_past_ones(digits):
    data = digits(20)
    state, step, images = witnessed(data, ant(reset_interval=1))
    for _ in range(3):  # two past generators
        step(state, images, data.labels)
    opponent = state.method_state
    noise = state.streams["noise"].get_state()
    seen = mix(state, opponent, images)
    stream = torch.Generator()
    stream.set_state(noise)
    with torch.no_grad():
        delta = [opponent.generator.sample(images[10:16], stream)]
        delta += [opponent.replay.sample(images[16:], stream)]
    expected = scale_to_sphere(images[10:], torch.cat(delta), EPSILON)
    assert torch.equal(seen, torch.cat([images[:10], expected]))


def test_the_generator_meets_the_whole_batch_and_a_classifier_in_evaluation_mode(digits):
    data = digits(30)
    state, step, images = witnessed(data, ant(pretraining_steps=0))
    step(state, images, data.labels)
    assert [training for training, _ in state.model.seen] == [False, True]
    (noisy,) = state.model.take_seen(training=False)
    torch.testing.assert_close(sizes(noisy, images), torch.full([30], EPSILON))
    assert state.model.training


@pytest.mark.parametrize("bf16", [False, True])
def test_a_generator_step_leaves_the_classifier_alone(digits, bits, bf16):
    data = digits(20)
    state = new_state(MadryCNN(), TrainingConfig(), 0, ant())
    images = data.images.float() / 255
    classifier, players = bits(state.model), bits(state.method_state.generator)
    ascend(state, state.method_state, images, data.labels, bf16)
    assert all(map(torch.equal, bits(state.model), classifier))
    assert all(parameter.grad is None for parameter in state.model.parameters())
    assert all(parameter.requires_grad for parameter in state.model.parameters())
    assert not any(map(torch.equal, bits(state.method_state.generator), players))
    assert all(value.dtype == torch.float32 for value in bits(state.method_state.generator))


def test_no_gradient_of_a_classifier_weight_is_computed_in_a_generator_step(digits, monkeypatch):
    wanted = []

    class Log(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution_backward.default:
                wanted.append(args[-1])
            if func is torch.ops.aten.mm.default:
                wanted.append("mm")
            return func(*args, **(kwargs or {}))

    data = digits(10)
    state = new_state(MadryCNN(), TrainingConfig(), 0, ant(depth=1))
    images = data.images.float() / 255
    # The compiler does not work under a dispatch mode.
    monkeypatch.setattr(newton, "solver", lambda device_type: newton.EAGER)
    with Log():
        ascend(state, state.method_state, images, data.labels, bf16=False)
    # Of each layer the images' gradient alone: logits, hidden, second and first convolution. The
    # generator's single layer then has one product for its weight.
    only_images = [True, False, False]
    assert wanted == ["mm", "mm", only_images, "mm", "mm"]


@pytest.mark.system
@pytest.mark.parametrize(
    ("architecture", "rise"),
    [
        ({}, 0.1),
        pytest.param({"kernel_size": 3}, 0.1, marks=pytest.mark.slow),
        ({"depth": 1}, 0.003),  # two numbers find little
    ],
)
def test_training_a_generator_alone_raises_the_loss_of_a_trained_classifier(
    digits, architecture, rise
):
    data = digits(1000)
    config = TrainingConfig(batch_size=50, learning_rate=0.1, max_epochs=3)
    method = ant(epsilon=4, pretraining_steps=60, pretraining_learning_rate=5e-3, **architecture)
    classifier = Witness()
    list(train(new_state(classifier, config, 0), data, GNT(sigma=0.1), config))
    state = new_state(classifier, config, 0, method)
    images = data.images.float() / 255
    generator_at_first = state.method_state.generator

    @torch.no_grad()
    def loss():
        noise = state.method_state.generator.sample(images, generator(1))
        noisy = scale_to_sphere(images, noise, method.epsilon)
        return nn.functional.cross_entropy(state.model(noisy), data.labels).item()

    before = loss()
    runner = EagerRunner(state, data)
    alone = train_alone(state, state.method_state, data, 10, bf16=False, runner=runner)
    steps = len(list(alone))
    assert loss() > before + rise
    assert steps == 60 and state.method_state.generator is generator_at_first


def test_generators_are_replaced_at_their_steps_and_join_the_past(digits):
    data = digits(60)
    config = TrainingConfig(batch_size=10)
    method = ant(reset_interval=0.7)  # 4.2 of the 6 steps of an epoch
    state, step, images = witnessed(data, method, config)
    opponent = state.method_state
    past, pretraining = [], []
    for index in range(14):
        last = parameters_to_vector(opponent.generator.parameters()).detach()
        step(state, images[:10], data.labels[:10])
        pretraining.append(len(state.model.take_seen(training=False)) - 1)
        if index in (4, 8, 12):
            past.append(last)
        assert opponent.resets == len(opponent.replay) == len(past)
        (group,) = opponent.optimizer.param_groups
        assert group["lr"] == method.generator_learning_rate
        steps = {int(state["step"]) for state in opponent.optimizer.state.values()}
        assert steps == {index % 4 + 1}
    assert torch.equal(opponent.replay.states, torch.stack(past))
    assert pretraining == [2, 0, 0, 0] * 3 + [2, 0]


def test_a_fresh_generator_is_another_one_and_starts_as_gaussian_noise(digits):
    data = digits(10)
    state, step, images = witnessed(data, ant(reset_interval=1, pretraining_steps=0))
    firsts = []
    for _ in range(3):
        step(state, images, data.labels)
        firsts.append(parameters_to_vector(state.method_state.generator.parameters()).detach())
    assert all(weights.abs().max() < 0.06 for weights in firsts)
    assert not any(torch.allclose(firsts[0], other, atol=1e-3) for other in firsts[1:])


def test_a_generator_that_is_never_replaced_plays_the_past_too(digits):
    data = digits(30)
    method = ant(reset_interval="never")
    state, step, images = witnessed(data, method, TrainingConfig(batch_size=10))
    shown = 0
    for _ in range(9):  # three epochs
        step(state, images[:10], data.labels[:10])
        shown += len(state.model.take_seen(training=False))
    assert state.method_state.resets == len(state.method_state.replay) == 0
    assert shown == 9 + method.pretraining_steps

    stream = torch.Generator()
    stream.set_state(state.streams["noise"].get_state())
    seen = mix(state, state.method_state, images[:10])
    with torch.no_grad():
        delta = state.method_state.generator.sample(images[5:10], stream)
    assert torch.equal(seen[5:], scale_to_sphere(images[5:10], delta, EPSILON))


def test_without_replay_nothing_is_remembered(digits):
    data = digits(20)
    state, step, images = witnessed(data, ant(reset_interval=1, **NO_REPLAY))
    for _ in range(3):
        step(state, images, data.labels)
    assert state.method_state.resets == 2 and len(state.method_state.replay) == 0


def test_a_fresh_generator_trains_on_training_images_in_an_order_of_its_own(digits):
    data = digits(25)
    config = TrainingConfig(batch_size=10)
    state, step, images = witnessed(data, ant(epsilon=1e-3, pretraining_steps=7), config)
    step(state, images[:10], data.labels[:10])
    seen = state.model.take_seen(training=False)[:-1]
    assert [len(batch) for batch in seen] == [10, 10, 5, 10, 10, 5, 10]
    epochs = [torch.cat(seen[:3]), torch.cat(seen[3:6])]
    orders = [
        torch.cdist(epoch.flatten(1), images.flatten(1)).argmin(1).tolist() for epoch in epochs
    ]
    assert all(sorted(order) == [*range(25)] for order in orders) and orders[0] != orders[1]
    order = torch.randperm(25, generator=generator(3, "pretraining order"))
    assert orders[0] == order.tolist()


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.usefixtures("compiled")
def test_a_training_stopped_between_any_two_steps_ends_on_the_same_bits(digits, small_state):
    """Also between two steps of a generator alone, of which there are many before one of both."""
    data, config = digits(25), TrainingConfig(batch_size=10, learning_rate=0.05, max_epochs=2)
    method = ant(reset_interval=0.7, pretraining_steps=4)  # before steps 1, 3 and 5 of 6
    ended = {}

    def train_to_end(state, steps):
        """Go on; return the last metrics, a checkpoint, and whether it came to the end."""
        left = iter(range(steps - 1))
        try:
            *_, metrics = train(state, data, method, config, lambda: next(left, None) is None)
        except StoppedError:
            return None
        return replace(metrics, seconds=0.0, data_seconds=0.0), checkpoints.dump(state)

    def resumed(steps):
        """Stop after so many steps again and again, each time in another state."""
        state, stops = small_state(config, 0, method), 0
        while (found := train_to_end(state, steps)) is None:
            taken, stops = checkpoints.dump(state), stops + 1
            state = small_state(config, 99, method)
            train_to_end(state, 3)  # leaves other weights, moments and an order behind
            checkpoints.restore(state, taken)
            assert checkpoints.dump(state) == taken
        ended[steps] = found
        return stops

    everything = 6 + 3 * method.pretraining_steps
    assert [resumed(steps) for steps in (999, 18, 7, 2, 1)] == [0, 1, 2, 9, 18]
    assert everything == 18 and all(found == ended[999] for found in ended.values())
    for steps in range(1, everything, 2):
        state = small_state(config, 0, method)
        train_to_end(state, steps)
        again = small_state(config, 99, method)
        checkpoints.restore(again, checkpoints.dump(state))
        assert train_to_end(again, 999) == ended[999]


def test_the_metrics_of_an_epoch_are_those_of_the_generator_steps(digits):
    data = digits(25)
    config = TrainingConfig(batch_size=10, max_epochs=2)
    method = ant(reset_interval="never", pretraining_steps=0)
    answers = []

    class Spy(Witness):
        def forward(self, images):
            logits = super().forward(images)
            if not self.training:
                answers.append(logits.detach())
            return logits

    state = new_state(Spy(), config, 0, method)
    epochs = train(state, data, method, config)
    order = generator(0, "data order")
    for _ in range(2):
        labels_seen = data.labels[torch.randperm(25, generator=order)]
        metrics = next(epochs)
        logits = torch.cat(answers)
        answers.clear()
        loss = nn.functional.cross_entropy(logits, labels_seen).item()
        assert metrics.extra["generator_loss"] == pytest.approx(loss, rel=1e-5)
        right = (logits.argmax(1) == labels_seen).sum().item()
        assert metrics.extra["generator_accuracy"] == pytest.approx(100 * right / 25)
        assert metrics.extra["share_unattainable"] == metrics.extra["resets"] == 0


def test_images_that_cannot_be_changed_by_epsilon_are_counted(digits):
    data = digits(20)
    data = replace(data, images=data.images.clone())
    data.images[:5] = 128  # nowhere more than 128/255 from here: at most 14.1 altogether
    config = TrainingConfig(batch_size=10, max_epochs=1)
    method = ant(epsilon=17.0, reset_interval="never")
    state = new_state(Witness(), config, 0, method)
    (metrics,) = train(state, data, method, config)
    assert metrics.extra["share_unattainable"] == 25.0
    assert math.isfinite(metrics.train_loss) and math.isfinite(metrics.extra["generator_loss"])


def test_resets_are_reported(digits):
    config = TrainingConfig(batch_size=10, max_epochs=3)
    method = ant(reset_interval=0.5)
    state = new_state(Witness(), config, 0, method)
    found = [metrics.extra["resets"] for metrics in train(state, digits(40), method, config)]
    assert found == [1, 3, 5]


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_give_the_same_bits_whatever_the_global_seed(precision, digits, bits):
    config = TrainingConfig(batch_size=10, learning_rate=0.05, max_epochs=2, precision=precision)
    data, method = digits(20), ant(reset_interval=0.5)

    def run(seed, global_seed):
        torch.manual_seed(global_seed)
        untouched = torch.get_rng_state()
        state = new_state(SmallCNN(generator(0)), config, seed, method)
        history = [
            replace(metrics, seconds=0.0, data_seconds=0.0)
            for metrics in train(state, data, method, config)
        ]
        assert torch.equal(torch.get_rng_state(), untouched)
        return history, bits(state.model), bits(state.method_state.generator)

    history, weights, noise = run(seed=0, global_seed=1)
    again, same, same_noise = run(seed=0, global_seed=2)
    assert history == again
    assert all(map(torch.equal, weights + noise, same + same_noise))
    others, different, other_noise = run(seed=1, global_seed=1)
    assert history != others and not any(map(torch.equal, weights, different))
    assert not all(map(torch.equal, noise, other_noise))


@pytest.mark.system
def test_every_field_decides_the_training(digits, small_state):
    config = TrainingConfig(batch_size=10, learning_rate=0.05, max_epochs=1)
    changes = [
        {}, {"epsilon": 4.0}, {"kernel_size": 3}, {"depth": 3}, {"reset_interval": 0.25},
        {"reset_interval": "never"}, {"generator_learning_rate": 1e-3}, NO_REPLAY,
        {"clean_share": 0.4, "current_share": 0.4}, {"pretraining_steps": 3},
        {"pretraining_learning_rate": 5e-3},
    ]  # fmt: skip
    losses = set()
    for change in changes:
        method = ant(**{"reset_interval": 0.5} | change)
        epochs = train(small_state(config, method=method), digits(60), method, config)
        losses |= {metrics.train_loss for metrics in epochs}
    assert len(losses) == len(changes)


def test_infinite_weights_diverge_at_once(small_state, digits):
    config = TrainingConfig(max_epochs=9)
    method = ant()
    state = small_state(config, method=method)
    with torch.no_grad():
        state.model[1].weight.fill_(torch.inf)
    (metrics,) = train(state, digits(100), method, config)
    assert metrics.event == "diverged"


@pytest.mark.parametrize(
    ("made_for", "method"),
    [
        (None, ant()),
        (GNT(sigma=0.1), ant()),
        (ant(epsilon=9.0), ant()),
        (ant(), GNT(sigma=0.1)),
        (ant(), Vanilla()),
    ],
)
def test_a_state_made_for_another_method_is_refused(small_state, digits, made_for, method):
    state = small_state(TrainingConfig(), method=made_for)
    with pytest.raises(ValueError, match=r"made for .*, not for .*: give new_state the method"):
        train(state, digits(10), method, TrainingConfig())
