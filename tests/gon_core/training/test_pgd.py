"""PGD adversarial training: the box, the ascent, and a classifier that withstands it."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gon_core.config import PGD, TrainingConfig, Vanilla
from gon_core.seeding import generator
from gon_core.training import new_state, train
from gon_core.training.pgd import make_step, other_classes, perturb
from tests.small_model import SmallCNN


def floats(data):
    """Return images in [0, 1]."""
    return data.images.float() / 255


def loss(model, images, labels):
    """Return the mean cross entropy."""
    with torch.no_grad():
        return nn.functional.cross_entropy(model(images), labels).item()


@settings(max_examples=15, deadline=None)
@given(
    epsilon=st.floats(0.001, 1),
    step_size=st.floats(0.001, 1),
    steps=st.integers(1, 3),
    random_start=st.booleans(),
    seed=st.integers(0, 100),
)
def test_perturbed_images_stay_in_the_ball_and_in_range(
    epsilon, step_size, steps, random_start, seed
):
    method = PGD(epsilon=epsilon, step_size=step_size, steps=steps, random_start=random_start)
    images = torch.rand(3, 1, 28, 28, generator=generator(seed, "images"))
    images[0] = images[0].round()
    before = images.clone()
    perturbed = perturb(
        SmallCNN().eval(), images, torch.tensor([1, 2, 3]), method, generator(seed, "noise")
    )
    assert torch.equal(images, before) and not perturbed.requires_grad
    assert ((perturbed >= 0) & (perturbed <= 1)).all()
    assert (perturbed - images).abs().max() <= epsilon + 1e-6


@pytest.mark.parametrize("random_start", [False, True])
def test_the_loss_rises_and_rises_more_with_more_steps(random_start, taught, mnist):
    data = mnist[1][:60]
    images = floats(data)
    losses = [loss(taught, images, data.labels)]
    for steps in (1, 3, 10):
        method = PGD(epsilon=0.2, step_size=0.03, steps=steps, random_start=random_start)
        noise = generator(0, "noise")
        perturbed = perturb(taught, images, data.labels, method, noise)
        losses.append(loss(taught, perturbed, data.labels))
    assert losses == sorted(losses) and losses[-1] > 3 * losses[0]


def test_a_larger_ball_allows_a_larger_loss(taught, mnist):
    data = mnist[1][:60]
    losses = []
    for epsilon in (0.01, 0.05, 0.1, 0.2):
        method = PGD(epsilon=epsilon, step_size=epsilon / 3, steps=5)
        perturbed = perturb(taught, floats(data), data.labels, method, generator(0))
        losses.append(loss(taught, perturbed, data.labels))
    assert losses == sorted(losses)


def test_on_a_linear_model_one_large_step_is_the_optimum(small_state, digits):
    model = small_state(TrainingConfig()).model.eval()
    data = digits(1)
    images, label = torch.full((1, 1, 28, 28), 0.5), data.labels
    method = PGD(epsilon=0.25, step_size=0.25, steps=1, random_start=False)
    gradient = model[1].weight.T @ (
        model(images).softmax(1)[0] - nn.functional.one_hot(label, 10)[0].float()
    )
    expected = images + 0.25 * gradient.sign().view(1, 1, 28, 28)
    assert torch.equal(perturb(model, images, label, method, generator(0)), expected.detach())


def test_the_random_start_is_uniform_in_the_box_and_from_its_stream(small_state):
    model = small_state(TrainingConfig()).model.eval()
    images = torch.full((20, 1, 28, 28), 0.2)
    labels = torch.zeros(20, dtype=torch.int64)
    method = PGD(epsilon=0.3, step_size=1e-9, steps=1)
    first, again, other = (
        perturb(model, images, labels, method, generator(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    start = first - images
    assert start.max() <= 0.3 + 1e-6 and start.min() >= -0.2 - 1e-6
    # A sixth of the uniform starts in [-0.3, 0.3] lies below 0 and is clipped to it.
    assert (first < 1e-6).float().mean().item() == pytest.approx(1 / 6, abs=0.02)
    assert start[first > 1e-6].mean().item() == pytest.approx(0.05, abs=0.01)


class WithStatistics(nn.Module):
    """A classifier with batch normalisation and dropout, that counts its calls."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = nn.Linear(784, 10)
        self.calls = []

    def forward(self, images):
        self.calls.append(self.training)
        hidden = self.norm(images).flatten(1)
        return self.linear(nn.functional.dropout(hidden, 0.5, self.training))


def test_the_search_is_in_evaluation_mode_and_the_update_is_not(digits):
    config = TrainingConfig()
    data = digits(8)
    state = new_state(WithStatistics(), config, seed=0)
    state.model.train()
    make_step(PGD(steps=3), config, data)(state, floats(data), data.labels)
    assert state.model.calls == [False] * 3 + [True] and state.model.training
    assert state.model.norm.num_batches_tracked == 1


def test_the_updates_gradient_is_that_of_the_perturbed_images_alone(digits):
    config = TrainingConfig()
    data = digits(8)
    method = PGD(steps=2, step_size=0.1)
    state = new_state(SmallCNN(generator(0)), config, seed=0)
    make_step(method, config, data)(state, floats(data), data.labels)
    reference = SmallCNN(generator(0))
    noise = generator(0, "noise")
    perturbed = perturb(reference.eval(), floats(data), data.labels, method, noise)
    nn.functional.cross_entropy(reference(perturbed), data.labels).backward()
    for ours, theirs in zip(state.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_training_against_it_helps_against_it(taught, mnist):
    config = TrainingConfig(batch_size=50, learning_rate=0.05, max_epochs=1)
    attack = PGD(epsilon=0.1, step_size=0.04, steps=5)
    data = mnist[1][:100]
    right = []
    for method in (Vanilla(), PGD(epsilon=0.1, step_size=0.06, steps=2)):
        model = copy.deepcopy(taught)
        list(train(new_state(model, config, 0), mnist[0][:1000], method, config))
        model.eval()
        perturbed = perturb(model, floats(data), data.labels, attack, generator(0))
        right.append((model(perturbed).argmax(1) == data.labels).float().mean().item())
    assert right[1] > right[0] + 0.1


def test_a_target_is_any_other_class_with_equal_odds():
    labels = torch.arange(4).repeat(3000)
    targets = other_classes(labels, 4, generator(0, "noise"))
    assert (targets != labels).all() and targets.min() == 0 and targets.max() == 3
    assert targets[labels == 2].bincount().tolist() == pytest.approx([1000, 1000, 0, 1000], abs=100)


def test_a_targeted_search_goes_down_the_loss_of_the_target(taught, mnist):
    data = mnist[1][:60]
    images = floats(data)
    method = PGD(epsilon=0.2, step_size=0.03, steps=8, targeted=True, random_start=False)
    perturbed = perturb(taught, images, data.labels, method, generator(0, "noise"), classes=10)
    targets = other_classes(data.labels, 10, generator(0, "noise"))
    assert loss(taught, perturbed, targets) < 0.6 * loss(taught, images, targets)
    assert loss(taught, perturbed, data.labels) > loss(taught, images, data.labels)
    assert (perturbed - images).abs().max() <= 0.2 + 1e-6


def test_one_targeted_step_on_a_linear_model_in_float64(small_state, digits):
    model = small_state(TrainingConfig()).model.eval()
    images, label = torch.full((1, 1, 28, 28), 0.5), digits(1).labels
    method = PGD(epsilon=0.25, step_size=0.25, steps=1, random_start=False, targeted=True)
    target = other_classes(label, 10, generator(0))
    probabilities = model(images).double().softmax(1)[0]
    gradient = model[1].weight.double().T @ (probabilities - nn.functional.one_hot(target, 10)[0])
    expected = images - 0.25 * gradient.sign().view(1, 1, 28, 28).float()
    found = perturb(model, images, label, method, generator(0), classes=10)
    assert torch.equal(found, expected.detach())


def test_a_share_of_the_batches_starts_at_the_images(small_state):
    model = small_state(TrainingConfig()).model.eval()
    images, labels = torch.full((2, 1, 28, 28), 0.5), torch.zeros(2, dtype=torch.int64)
    method = PGD(epsilon=0.1, step_size=1e-9, steps=1, clean_start_share=0.2)
    stream, clean = generator(0, "noise"), 0
    for _ in range(400):
        start = perturb(model, images, labels, method, stream)
        is_clean = (start - images).abs().amax((1, 2, 3)) < 1e-6
        assert is_clean.all() or not is_clean.any(), "a batch at a time"
        clean += bool(is_clean[0])
    assert clean == pytest.approx(80, abs=24)


def test_labels_are_smoothed_in_the_classifiers_loss(small_state, digits):
    data, config = digits(30), TrainingConfig()
    weak = {"epsilon": 1e-9, "step_size": 1e-9, "steps": 1}
    for smoothing in (0.0, 0.1):
        method = PGD(label_smoothing=smoothing, **weak)
        state = small_state(config)
        with torch.no_grad():
            logits = state.model(floats(data)).double()
        wanted = (1 - smoothing) * nn.functional.one_hot(data.labels, 10) + smoothing / 10
        expected = -(wanted * logits.log_softmax(1)).sum(1).mean().item()
        _, found, _ = make_step(method, config, data)(state, floats(data), data.labels)
        assert found.item() == pytest.approx(expected, rel=1e-5)
