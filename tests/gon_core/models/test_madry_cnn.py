"""The classifier against its textbook definition."""

import math

import pytest
import torch
from torch import nn

from gon_core.models import MadryCNN
from gon_core.models.madry_cnn import initialise
from gon_core.seeding import generator

FIRST_WEIGHTS = [
    0.08714666, -0.05919943, 0.00943928, 0.01221681,
    0.01296435, 0.00234850, -0.00577562, 0.02871519,
]  # fmt: skip


def textbook(weights):
    """Return the network as Madry et al. draw it: convolution, ReLU, pooling, in plain NCHW."""
    network = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip
    with torch.no_grad():
        for parameter, weight in zip(network.parameters(), weights, strict=True):
            parameter.copy_(weight.contiguous())
    return network


@pytest.fixture(scope="module")
def model():
    """A model with larger weights than at the start, so that logits differ visibly."""
    model = MadryCNN(generator(1, "initial weights"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def test_it_has_the_published_number_of_parameters():
    shapes = [tuple(parameter.shape) for parameter in MadryCNN().parameters()]
    assert shapes == [
        (32, 1, 5, 5), (32,), (64, 32, 5, 5), (64,), (1024, 3136), (1024,), (10, 1024), (10,),
    ]  # fmt: skip
    assert sum(math.prod(shape) for shape in shapes) == 3_274_634


def test_forward_and_gradients_are_the_textbook_network(model):
    images = torch.rand(7, 1, 28, 28, generator=generator(0, "images"))
    labels = torch.arange(7)
    network = textbook(model.parameters())
    torch.testing.assert_close(model(images), network(images), rtol=1e-4, atol=1e-5)

    nn.functional.cross_entropy(model(images), labels).backward()
    nn.functional.cross_entropy(network(images), labels).backward()
    for (name, ours), theirs in zip(model.named_parameters(), network.parameters(), strict=True):
        assert ours.grad is not None and torch.isfinite(ours.grad).all(), name
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
    model.zero_grad()


def test_an_image_is_classified_alone_as_in_a_batch(model):
    images = torch.rand(9, 1, 28, 28, generator=generator(0, "images"))
    alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(model(images), alone, rtol=1e-4, atol=1e-5)


def test_gradients_stay_finite_at_the_ends_of_the_pixel_range(model):
    for level in (0.0, 1.0):
        logits = model(torch.full((2, 1, 28, 28), level))
        nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
        model.zero_grad()


def test_initial_weights_are_uniform_within_one_over_root_inputs():
    model = MadryCNN(generator(0, "initial weights"))
    for layer in (model.conv1, model.conv2, model.hidden, model.logits):
        inputs = layer.weight[0].numel()
        bound = 1 / math.sqrt(inputs)
        for tensor in (layer.weight, layer.bias):
            values = tensor.detach().double().flatten()
            assert values.abs().max() <= bound
            deviation = bound / math.sqrt(3)
            assert abs(values.mean()) < 5 * deviation / math.sqrt(len(values))
            if len(values) > 500:
                assert values.std() == pytest.approx(deviation, rel=0.05)
                assert values.abs().max() > 0.99 * bound


def test_every_layer_is_drawn_without_a_bias_too():
    layers = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Linear(4, 2, bias=False))
    before = [parameter.clone() for parameter in layers.parameters()]
    initialise(layers, generator(0))
    assert all(
        not torch.equal(old, new) for old, new in zip(before, layers.parameters(), strict=True)
    )


def equal(a, b):
    """Whether two models have the same bits."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_the_generator_decides_the_weights():
    seeded = MadryCNN(generator(3, "initial weights"))
    assert equal(seeded, MadryCNN(generator(3, "initial weights")))
    assert not equal(seeded, MadryCNN(generator(4, "initial weights")))
    assert equal(MadryCNN(), MadryCNN(torch.Generator().manual_seed(0)))


def test_the_global_stream_is_neither_read_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = MadryCNN(generator(0))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert equal(first, MadryCNN(generator(0)))


def test_the_first_weights_never_change():
    model = MadryCNN(generator(0, "initial weights"))
    found = [parameter.flatten()[0].item() for parameter in model.parameters()]
    assert found == pytest.approx(FIRST_WEIGHTS, abs=1e-7)
