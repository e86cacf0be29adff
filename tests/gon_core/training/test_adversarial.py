"""The gradient with respect to the images, and directions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gon_core.models import MadryCNN
from gon_core.seeding import generator
from gon_core.training.adversarial import image_gradient, l2_size, unit


def test_the_gradient_is_each_images_own_and_leaves_the_weights_alone(digits):
    data = digits(6)
    images = data.images.float() / 255
    model = MadryCNN(generator(0)).eval()
    logits, gradient = image_gradient(model, images, data.labels, bf16=False)
    assert not images.requires_grad and not gradient.requires_grad and not logits.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())

    reference = MadryCNN(generator(0)).double()
    wanted = images.double().requires_grad_()
    expected = reference(wanted)
    nn.functional.cross_entropy(expected, data.labels, reduction="sum").backward()
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient.double(), wanted.grad, rtol=1e-3, atol=1e-6)
    for index in range(len(images)):
        alone = image_gradient(model, images[[index]], data.labels[[index]], bf16=False)[1]
        torch.testing.assert_close(alone[0], gradient[index], rtol=1e-3, atol=1e-6)


def test_in_bf16_it_points_the_same_way(digits):
    data = digits(6)
    images = data.images.float() / 255
    model = MadryCNN(generator(0)).eval()
    exact, rough = (
        image_gradient(model, images, data.labels, bf16)[1].flatten(1) for bf16 in (False, True)
    )
    assert rough.dtype == torch.float32 and not torch.equal(exact, rough)
    assert (torch.cosine_similarity(exact, rough) > 0.95).all()


@given(exponent=st.floats(-36, 36), seed=st.integers(0, 50))
def test_a_direction_has_length_one_whatever_it_was(exponent, seed):
    delta = torch.randn(3, 1, 5, 5, generator=generator(seed)) * 10.0**exponent
    torch.testing.assert_close(l2_size(unit(delta)), torch.ones(3, 1, 1, 1))
    assert (torch.cosine_similarity(unit(delta).flatten(1), delta.sign().flatten(1)) > 0).all()


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_no_direction_stays_none(value):
    delta = torch.full((2, 1, 3, 3), value)
    delta[1, 0, 0, 0] = -3
    assert (unit(delta)[0] == 0).all()
    assert unit(delta)[1].flatten().tolist() == [-1] + [0] * 8
