"""Gaussian noise training: which part of a batch is noisy, and with what."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gon_core.config import GNT, TrainingConfig, Vanilla
from gon_core.noise import add_gaussian_noise
from gon_core.seeding import generator
from gon_core.training import new_state, train
from gon_core.training.gnt import make_step, split_batch
from tests.small_model import SmallCNN


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_min=True))
def test_a_batch_is_split_without_loss_and_never_all_clean(batch_size, noisy_share):
    clean, noisy = split_batch(batch_size, noisy_share)
    assert clean + noisy == batch_size and clean >= 0
    if noisy_share * batch_size > 1e-6:
        assert noisy >= 1
    assert abs(noisy - noisy_share * batch_size) < 1


@pytest.mark.parametrize(
    ("batch_size", "noisy_share", "parts"),
    [
        (300, 0.5, [150, 150]),
        (299, 0.5, [149, 150]),
        (1, 0.5, [0, 1]),
        (1, 0.01, [0, 1]),
        (10, 1.0, [0, 10]),
        (10, 0.3, [7, 3]),
        (70, 0.5, [35, 35]),
    ],
)
def test_the_odd_image_is_noisy(batch_size, noisy_share, parts):
    assert split_batch(batch_size, noisy_share) == parts


def test_shares_that_come_out_even_are_met_exactly():
    for batch_size in range(1, 150):
        for noisy in range(1, batch_size + 1):
            assert split_batch(batch_size, noisy / batch_size) == [batch_size - noisy, noisy]


class Witness(nn.Module):
    """A linear classifier that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.skip_init(nn.Linear, 784, 10)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return self.linear(images.flatten(1))


@pytest.mark.parametrize(("count", "share"), [(40, 0.5), (41, 0.5), (40, 0.25), (40, 1.0)])
def test_the_model_sees_the_clean_part_and_the_noisy_part(digits, count, share):
    config = TrainingConfig()
    state = new_state(Witness(), config, seed=5)
    data = digits(count)
    images = data.images.float() / 255
    before = images.clone()
    step = make_step(GNT(sigma=0.4, noisy_share=share), config, data)
    for _ in range(2):
        step(state, images, data.labels)
    assert torch.equal(images, before)

    clean = split_batch(count, share)[0]
    stream = generator(5, "noise")
    for seen in state.model.seen:
        assert torch.equal(seen[:clean], images[:clean])
        assert torch.equal(seen[clean:], add_gaussian_noise(images[clean:], 0.4, stream))
        assert (seen[clean:] != images[clean:]).flatten(1).any(1).all()
    assert not torch.equal(*(seen[clean:] for seen in state.model.seen))


def test_labels_stay_with_their_images(digits):
    config = TrainingConfig()
    state = new_state(Witness(), config, seed=0)
    data = digits(30)
    images = data.images.float() / 255
    make_step(GNT(sigma=0.1), config, data)(state, images, data.labels)
    # From zero weights the gradient of the bias is the mean of 1/10 - one-hot label.
    expected = 0.1 - nn.functional.one_hot(data.labels, 10).float().mean(0)
    torch.testing.assert_close(state.model.linear.bias.grad, expected)
    seen = state.model.seen[0].flatten(1)
    error = (0.1 - nn.functional.one_hot(data.labels, 10).float()) / 30
    torch.testing.assert_close(state.model.linear.weight.grad, error.T @ seen)


def test_sigma_zero_is_vanilla_training_bit_by_bit(digits, bits):
    config = TrainingConfig(batch_size=35, learning_rate=0.05, max_epochs=2)
    results = []
    for method in (Vanilla(), GNT(sigma=0)):
        state = new_state(SmallCNN(), config, seed=0)
        losses = [metrics.train_loss for metrics in train(state, digits(100), method, config)]
        results.append((losses, bits(state.model)))
    assert results[0][0] == results[1][0]
    assert all(map(torch.equal, results[0][1], results[1][1]))


def test_sigma_and_share_decide_the_training(digits, bits):
    config = TrainingConfig(batch_size=50, learning_rate=0.05, max_epochs=1)
    methods = [Vanilla(), GNT(sigma=0.1), GNT(sigma=0.2), GNT(sigma=0.1, noisy_share=0.3)]
    losses = set()
    for method in methods:
        state = new_state(SmallCNN(), config, seed=0)
        losses |= {metrics.train_loss for metrics in train(state, digits(100), method, config)}
    assert len(losses) == len(methods)
