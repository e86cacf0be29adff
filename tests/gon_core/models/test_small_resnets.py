"""The residual networks for images of 32 pixels."""

import pytest
import torch

from gon_core.models.small_resnets import preactresnet18, resnet9_small, wrn_40_2

PARAMETERS = {resnet9_small: 103_954, preactresnet18: 11_172_170, wrn_40_2: 2_243_546}


@pytest.mark.parametrize("make", PARAMETERS)
def test_parameters_are_those_of_the_architecture(make):
    assert sum(p.numel() for p in make(10).parameters()) == PARAMETERS[make]


@pytest.mark.parametrize("make", [resnet9_small, wrn_40_2])
def test_first_weights_depend_on_the_generator_alone(make):
    torch.manual_seed(1)
    one, other = (make(7, torch.Generator().manual_seed(seed)) for seed in (3, 3))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not torch.equal(one.logits.weight, make(7).logits.weight)
    images = torch.rand(2, 3, 32, 32)
    assert one(images).shape == (2, 7) and one(images).isfinite().all()


def test_images_are_normalised_inside():
    model = resnet9_small(10).eval()
    means = model.mean.expand(1, 3, 32, 32)
    assert torch.allclose(
        model(means), model.logits(model.pool(model.body(0 * means), 1).flatten(1))
    )
