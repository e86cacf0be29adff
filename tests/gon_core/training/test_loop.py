"""The epoch loop: which images, in which order, at which learning rate, and what it reports."""

import itertools
from typing import get_args

import pytest
import torch
from torch import nn

from gon_core.config import GNT, Method, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.seeding import generator
from gon_core.training import METHODS, new_state, train
from gon_core.training.descent import descend
from gon_core.training.loop import train_epochs
from tests.small_model import SmallCNN

EVERY_METHOD = pytest.mark.parametrize("method", [Vanilla(), GNT(sigma=0.3)])


def numbered(count):
    """Return images of one grey level each, their number, and a label that follows from it."""
    levels = torch.arange(count)
    images = levels.to(torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28).contiguous()
    return LabelledImages(images, levels % 10)


class Recorder:
    """A step that trains nothing: it writes down its batches and reports given losses."""

    def __init__(self, losses):
        self.batches, self.rates = [], []  # learning rates, a step each
        self.losses = losses

    def __call__(self, state, images, labels):
        assert state.model.training
        numbers = (images[:, 0, 0, 0] * 255).round().long()
        assert torch.equal(numbers % 10, labels)
        assert images.dtype == torch.float32 and torch.equal(images[:, 0, 5, 7] * 255, numbers)
        self.batches.append(numbers.tolist())
        self.rates.append(state.optimizer.param_groups[0]["lr"])
        logits = nn.functional.one_hot(torch.zeros_like(labels), 10).float()
        return logits, torch.tensor(self.losses[len(self.batches) - 1]), labels

    def epochs(self, batches):
        """Return the images of each epoch of so many batches."""
        parts = [self.batches[i : i + batches] for i in range(0, len(self.batches), batches)]
        return [[*itertools.chain(*part)] for part in parts]


def test_an_epoch_visits_every_image_once_in_a_new_order(small_state):
    config = TrainingConfig(batch_size=30, max_epochs=3)
    recorder = Recorder([1.0] * 12)
    assert len([*train_epochs(small_state(config), numbered(100), config, recorder)]) == 3
    assert [len(batch) for batch in recorder.batches] == [30, 30, 30, 10] * 3
    epochs = recorder.epochs(4)
    assert all(sorted(epoch) == [*range(100)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3 and [*range(100)] not in epochs


def test_the_order_belongs_to_the_seed(small_state):
    config = TrainingConfig(batch_size=100, max_epochs=1)
    orders = []
    for seed, global_seed in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(global_seed)
        recorder = Recorder([1.0])
        list(train_epochs(small_state(config, seed), numbered(100), config, recorder))
        orders.append(recorder.batches[0])
    assert orders[0] == orders[1] != orders[2]


def test_a_batch_larger_than_the_data_is_the_data(small_state):
    config = TrainingConfig(batch_size=1000, max_epochs=1)
    recorder = Recorder([1.0])
    list(train_epochs(small_state(config), numbered(7), config, recorder))
    assert [len(batch) for batch in recorder.batches] == [7]


def test_loss_and_accuracy_are_means_over_images_not_over_batches(small_state):
    config = TrainingConfig(batch_size=30, max_epochs=1)
    recorder = Recorder([1.0, 2.0, 3.0, 10.0])
    (metrics,) = train_epochs(small_state(config), numbered(95), config, recorder)
    assert metrics.train_loss == pytest.approx((30 * 1 + 30 * 2 + 30 * 3 + 5 * 10) / 95)
    assert metrics.train_accuracy == pytest.approx(100 * 10 / 95)  # the step always answers 0
    assert metrics.seconds > 0


def test_the_learning_rate_decays_once_and_training_ends(small_state):
    config = TrainingConfig(
        batch_size=100, learning_rate=0.2, decay_factor=0.25, patience=2, max_epochs=50
    )
    state = small_state(config)
    history = []
    for metrics in train_epochs(state, numbered(100), config, Recorder([1.0] * 50)):
        assert metrics.epoch == state.convergence.epoch == len(history) + 1
        history.append(metrics)
    assert [metrics.learning_rate for metrics in history] == [0.2] * 3 + [0.05] * 3
    events = [metrics.event for metrics in history]
    assert events == ["continue"] * 2 + ["decay"] + ["continue"] * 2 + ["converged"]
    assert [metrics.is_last for metrics in history] == [False] * 5 + [True]
    assert state.optimizer.param_groups[0]["lr"] == 0.05


def test_it_decays_after_given_epochs_whatever_the_loss(small_state):
    config = TrainingConfig(
        batch_size=100, learning_rate=0.5, decay_epochs=(2, 3), patience=1, max_epochs=5
    )
    losses = [5.0, 4.0, 6.0, 6.0, 6.0]
    history = [*train_epochs(small_state(config), numbered(100), config, Recorder(losses))]
    assert [metrics.learning_rate for metrics in history] == pytest.approx(
        [0.5, 0.5, 0.05, 0.005, 0.005]
    )
    events = [metrics.event for metrics in history]
    assert events == ["continue", "decay", "decay", "continue", "max_epochs"]


def test_it_warms_up_step_by_step_and_no_plateau_counts_meanwhile(small_state):
    config = TrainingConfig(
        batch_size=30, learning_rate=0.8, warm_up_epochs=2, patience=1, max_epochs=4
    )
    recorder = Recorder([1.0] * 16)
    history = [*train_epochs(small_state(config), numbered(100), config, recorder)]
    assert recorder.rates == pytest.approx(
        [0.1 * step for step in range(1, 9)] + [0.8] * 4 + [0.08] * 4
    )
    assert [metrics.event for metrics in history] == ["continue", "continue", "decay", "max_epochs"]
    assert history[0].learning_rate == pytest.approx(0.4)


@pytest.mark.parametrize("warm_up", [0, 1])
def test_it_falls_step_by_step_to_0_and_no_plateau_ends_the_training(small_state, warm_up):
    config = TrainingConfig(
        batch_size=30, learning_rate=0.8, warm_up_epochs=warm_up, patience=1, max_epochs=3,
        anneals=True,
    )  # fmt: skip
    recorder = Recorder([1.0] * 12)
    history = [*train_epochs(small_state(config), numbered(100), config, recorder)]
    rising = [0.2, 0.4, 0.6] if warm_up else []
    steps = 9 if warm_up else 12
    falling = [0.8 * (steps - step) / steps for step in range(steps)]
    assert recorder.rates == pytest.approx(rising + falling)
    assert [metrics.event for metrics in history] == ["continue", "continue", "max_epochs"]


@pytest.mark.parametrize("changes", [{"nesterov": True}, {"weight_decay": 0.1}])
def test_nesterov_and_weight_decay_are_torchs(changes, small_state, digits):
    config = TrainingConfig(learning_rate=0.1, **changes)
    state, plain = small_state(config), small_state(config).model
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, **changes)
    data = digits(40)
    images = data.images.view(40, 1, 28, 28).float() / 255
    for _ in range(3):
        descend(state, images, data.labels, bf16=False)
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(images), data.labels).backward()
        optimizer.step()
    for ours, theirs in zip(state.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_nothing_is_trained_before_it_is_asked_for(small_state, digits, bits):
    config = TrainingConfig(batch_size=50, max_epochs=3)
    state = small_state(config)
    first = bits(state.model)
    epochs = train(state, digits(100), Vanilla(), config)
    assert all(map(torch.equal, bits(state.model), first))
    next(epochs)
    second = bits(state.model)
    assert not any(map(torch.equal, first, second))
    state.model.eval()  # as an evaluation between two epochs might leave it
    next(epochs)
    assert state.model.training


def test_a_step_is_sgd_with_momentum_as_in_the_textbook(small_state, digits):
    config = TrainingConfig(learning_rate=0.1, momentum=0.9)
    state = small_state(config)
    linear = state.model[1]
    weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
    speed_weight, speed_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for start in (0, 40, 80):
        data = digits(120)[start : start + 40]
        images = data.images.float() / 255
        logits, loss, _ = descend(state, images, data.labels, bf16=False)

        x = images.flatten(1).double()
        expected = x @ weight.T + bias
        answers = expected.softmax(1)
        target = nn.functional.one_hot(data.labels, 10).double()
        torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-5)
        assert loss.item() == pytest.approx(-(target * answers.log()).sum(1).mean().item(), 1e-5)
        error = (answers - target) / 40
        speed_weight = 0.9 * speed_weight + error.T @ x
        speed_bias = 0.9 * speed_bias + error.sum(0)
        weight, bias = weight - 0.1 * speed_weight, bias - 0.1 * speed_bias
    torch.testing.assert_close(linear.weight.detach().double(), weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(linear.bias.detach().double(), bias, rtol=1e-4, atol=1e-6)


def test_the_cnn_takes_the_step_of_a_plain_loop_in_float64(digits):
    config = TrainingConfig(learning_rate=0.05)
    data = digits(32)
    images = data.images.float() / 255
    reference = SmallCNN(generator(0)).double()
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.05, momentum=0.9)
    state = new_state(SmallCNN(generator(0)), config, seed=0)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(reference(images.double()), data.labels).backward()
        optimizer.step()
        _, loss, _ = descend(state, images, data.labels, bf16=False)
        assert not loss.requires_grad
    for ours, theirs in zip(state.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-5)


def test_bf16_keeps_weights_and_loss_in_fp32(digits):
    data = digits(20)
    images = data.images.float() / 255
    states = [new_state(SmallCNN(generator(0)), TrainingConfig(), seed=0) for _ in range(2)]
    losses = [
        descend(state, images, data.labels, bf16=bf16)[1]
        for state, bf16 in zip(states, (False, True), strict=True)
    ]
    assert losses[1].dtype == torch.float32
    assert losses[0] != losses[1] and losses[0].item() == pytest.approx(losses[1].item(), rel=0.02)
    for ours, theirs in zip(*(state.model.parameters() for state in states), strict=True):
        assert theirs.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_every_method_of_a_configuration_has_its_step():
    union, _ = get_args(Method)
    assert set(METHODS) == set(get_args(union))


@pytest.mark.system
@pytest.mark.parametrize(
    ("method", "precision"),
    [(Vanilla(), "fp32"), (GNT(sigma=0.3), "fp32"), (GNT(sigma=0.3), "bf16")],
)
def test_two_runs_give_the_same_bits_whatever_the_global_seed(method, precision, digits, bits):
    config = TrainingConfig(batch_size=40, learning_rate=0.05, max_epochs=2, precision=precision)
    data = digits(50)

    def run(seed, global_seed):
        torch.manual_seed(global_seed)
        untouched = torch.get_rng_state()
        state = new_state(SmallCNN(generator(seed, "initial weights")), config, seed)
        losses = [metrics.train_loss for metrics in train(state, data, method, config)]
        assert torch.equal(torch.get_rng_state(), untouched)
        return losses, bits(state.model)

    losses, weights = run(seed=0, global_seed=1)
    again, same = run(seed=0, global_seed=2)
    assert losses == again and all(map(torch.equal, weights, same))
    others, different = run(seed=1, global_seed=1)
    assert losses != others and not any(map(torch.equal, weights, different))


def test_a_huge_learning_rate_diverges_and_ends(digits):
    config = TrainingConfig(batch_size=20, learning_rate=1e6, max_epochs=9)
    state = new_state(SmallCNN(), config, seed=0)
    *before, last = train(state, digits(100), Vanilla(), config)
    assert last.event == "diverged" and last.is_last and len(before) <= 1


def test_infinite_weights_diverge_at_once(small_state, digits):
    config = TrainingConfig(max_epochs=9)
    state = small_state(config)
    with torch.no_grad():
        state.model[1].weight.fill_(torch.inf)
    (metrics,) = train(state, digits(100), GNT(sigma=0.1), config)
    assert metrics.event == "diverged"
