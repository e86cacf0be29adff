"""AugMix training: one clean and two mixed batches, and predictions that agree."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gon_core.config import AugMix, TrainingConfig, Vanilla
from gon_core.noise.augmentation_chains import mix
from gon_core.seeding import generator
from gon_core.training import METHODS, new_state, train
from gon_core.training.augmix import divergence
from tests.small_model import SmallCNN


def test_the_model_sees_the_images_and_two_mixtures_of_each(digits, shown):
    method, data = AugMix(), digits(30)
    images = data.images.float() / 255
    (seen,) = shown(method, data)
    stream = generator(0, "noise")
    assert torch.equal(seen[:30], images)
    assert torch.equal(seen[30:60], mix(images, method, stream))
    assert torch.equal(seen[60:], mix(images, method, stream))
    assert not torch.equal(seen[30:60], seen[60:])
    assert (seen[30:] != images.repeat(2, 1, 1, 1)).flatten(1).any(1).float().mean() > 0.8


@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0, 50))
def test_the_divergence_lies_between_agreement_and_the_most_there_is(seed, count, scale):
    stream = generator(seed)
    logits = [scale * torch.randn(5, 10, generator=stream) for _ in range(count)]
    value = divergence(*logits).item()
    assert -1e-5 <= value <= math.log(count) + 1e-5
    assert divergence(logits[0], logits[0] + 3.0).item() == pytest.approx(0, abs=1e-5)
    assert divergence(*logits[::-1]).item() == pytest.approx(value, abs=1e-5)


def test_certain_predictions_that_all_differ_diverge_the_most():
    logits = [100 * torch.eye(10)[[index]] for index in range(3)]
    assert divergence(*logits).item() == pytest.approx(math.log(3), abs=1e-4)


def test_the_loss_is_cross_entropy_and_weighted_divergence(digits):
    config = TrainingConfig()
    data = digits(20)
    images = data.images.float() / 255
    model = SmallCNN(generator(0))
    method = AugMix(consistency=7)
    stream = generator(0, "noise")
    logits = model(torch.cat([images, mix(images, method, stream), mix(images, method, stream)]))
    clean, *mixed = logits.split(20)
    entropy, apart = nn.functional.cross_entropy(clean, data.labels), divergence(clean, *mixed)
    (entropy + 7 * apart).backward()
    state = new_state(SmallCNN(generator(0)), config, seed=0)
    step = METHODS[AugMix](method, config, data)
    seen, loss, _ = step(state, images, data.labels)
    torch.testing.assert_close(seen, clean.detach())
    assert loss.item() == pytest.approx(entropy.item() + 7 * apart.item(), rel=1e-5)
    for ours, theirs in zip(state.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_without_the_term_only_the_clean_images_train(digits):
    config = TrainingConfig(batch_size=20, learning_rate=0.05, max_epochs=1)
    losses = []
    for method in (Vanilla(), AugMix(consistency=0)):
        state = new_state(SmallCNN(generator(0)), config, seed=0)
        (metrics,) = train(state, digits(60), method, config)
        losses.append(metrics.train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
