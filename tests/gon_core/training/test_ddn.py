"""DDN adversarial training: sizes, the nearest that fools, and a classifier that withstands it."""

import copy

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from gon_core.config import DDN, TrainingConfig, Vanilla
from gon_core.seeding import generator
from gon_core.training import new_state, train
from gon_core.training.adversarial import l2_size
from gon_core.training.ddn import make_step, perturb
from tests.small_model import SmallCNN


def floats(data):
    """Return images in [0, 1]."""
    return data.images.float() / 255


def sizes(perturbed, images):
    """Return the l2 size of each perturbation."""
    return l2_size(perturbed - images).flatten()


@settings(max_examples=15, deadline=None)
@given(
    method=st.builds(
        DDN,
        steps=st.integers(1, 5),
        init_norm=st.floats(0.01, 100),
        gamma=st.floats(0.01, 0.99),
        max_norm=st.floats(0.01, 100),
    ),
    seed=st.integers(0, 100),
)
@example(method=DDN(steps=1, init_norm=19.0, gamma=0.5, max_norm=0.01), seed=1)
def test_perturbed_images_are_in_range_and_no_farther_than_allowed(method, seed):
    images = torch.rand(4, 1, 28, 28, generator=generator(seed, "images"))
    images[0] = images[0].round()
    before = images.clone()
    model = SmallCNN(generator(0)).eval()
    labels = model(images).argmax(1)
    perturbed = perturb(model, images, labels, method)
    assert torch.equal(images, before) and not perturbed.requires_grad
    assert ((perturbed >= 0) & (perturbed <= 1)).all()
    # Each of 784 pixels is rounded to a float32 below 1; of a small perturbation that is a part.
    rounding = 28 * 2**-24
    assert (sizes(perturbed, images) <= method.max_norm * (1 + 1e-5) + rounding).all()


@pytest.mark.system
def test_what_is_found_fools_and_more_steps_find_it_nearer(taught, mnist):
    data = mnist[1][:40]
    images = floats(data)
    wrong = taught(images).argmax(1) != data.labels
    medians = []
    for steps in (4, 15, 40):
        perturbed = perturb(taught, images, data.labels, DDN(steps=steps, gamma=0.1, max_norm=99))
        size = sizes(perturbed, images)
        assert (size[wrong] == 0).all(), "wrong already: nothing to add"
        moved = size > 0
        fooled = taught(perturbed).argmax(1) != data.labels
        assert torch.equal(fooled & ~wrong, moved)
        unfound = ~moved & ~wrong
        assert torch.equal(perturbed[unfound], images[unfound])
        assert not fooled[unfound].any()
        medians.append(size.where(moved, torch.inf)[~wrong].median().item())
    assert medians == sorted(medians, reverse=True) and medians[-1] < 2.5
    assert moved[~wrong].all()


def test_on_a_linear_model_it_is_the_distance_to_the_hyperplane():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    with torch.no_grad():
        normal = torch.randn(784, generator=generator(0))
        model[1].weight.copy_(torch.stack([normal, -normal]))
        model[1].bias.copy_(torch.tensor([1.0, -1.0]) - model[1].weight @ torch.full((784,), 0.5))
    images, label = torch.full((1, 1, 28, 28), 0.5), torch.tensor([0])
    perturbed = perturb(model.eval(), images, label, DDN(steps=100, max_norm=99))
    distance = 1 / normal.norm().item()
    assert sizes(perturbed, images).item() == pytest.approx(distance, rel=0.06)
    assert sizes(perturbed, images).item() >= distance * (1 - 1e-3)


def test_what_fools_only_from_farther_away_is_brought_to_the_largest_size(taught, mnist):
    data = mnist[1][:20]
    images = floats(data)
    far = sizes(perturb(taught, images, data.labels, DDN(steps=30, max_norm=99)), images)
    near = sizes(perturb(taught, images, data.labels, DDN(steps=30, max_norm=0.5)), images)
    torch.testing.assert_close(near, far.clamp_max(0.5), rtol=1e-4, atol=1e-5)
    assert (far > 0.5).sum() > 10


def test_without_a_gradient_the_images_come_back():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    images = torch.rand(3, 1, 28, 28, generator=generator(0))
    labels = torch.zeros(3, dtype=torch.int64)  # argmax of equal logits
    assert torch.equal(perturb(model, images, labels, DDN(steps=5)), images)


def test_the_step_trains_on_it_in_training_mode_without_drawing_noise(digits):
    config = TrainingConfig()
    data = digits(8)
    method = DDN(steps=3, init_norm=3)
    state = new_state(SmallCNN(generator(0)), config, seed=0)
    noise = state.streams["noise"].get_state()
    make_step(method, config, data)(state, floats(data), data.labels)
    assert torch.equal(state.streams["noise"].get_state(), noise) and state.model.training
    reference = SmallCNN(generator(0))
    perturbed = perturb(reference.eval(), floats(data), data.labels, method)
    assert all(parameter.grad is None for parameter in reference.parameters())
    nn.functional.cross_entropy(reference(perturbed), data.labels).backward()
    for ours, theirs in zip(state.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.system
def test_training_against_it_moves_the_boundary_away(taught, mnist):
    config = TrainingConfig(batch_size=50, learning_rate=0.05, max_epochs=1)
    data = mnist[1][:50]
    medians = []
    for method in (Vanilla(), DDN(steps=3, init_norm=1.5, gamma=0.3)):
        model = copy.deepcopy(taught)
        list(train(new_state(model, config, 0), mnist[0][:1000], method, config))
        perturbed = perturb(
            model.eval(), floats(data), data.labels, DDN(steps=20, gamma=0.1, max_norm=99)
        )
        medians.append(sizes(perturbed, floats(data)).median().item())
    assert medians[1] > 1.1 * medians[0]
