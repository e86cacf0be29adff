"""The residual networks for images of 32 pixels."""

import pytest
import torch

from gon_core.models.small_resnets import preactresnet18, resnet9_small, wrn_40_2

PARAMETERS = {resnet9_small: 103_954, preactresnet18: 11_172_170, wrn_40_2: 2_243_546}


@pytest.mark.parametrize("make", PARAMETERS)
def test_parameters_are_those_of_the_architecture(make):
    assert sum(p.numel() for p in make(10).parameters()) == PARAMETERS[make]


def test_large_images_get_the_stem_of_imagenet():
    model = preactresnet18(100, torch.Generator().manual_seed(0), side=224)
    stem = model.body[0]
    assert (stem.kernel_size, stem.stride, stem.padding) == ((7, 7), (2, 2), (3, 3))
    assert model.body[:2](torch.zeros(1, 3, 224, 224)).shape == (1, 64, 56, 56)
    more = 3 * 64 * (49 - 9) + 90 * 513  # of the stem, and of ninety further classes
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[preactresnet18] + more
    assert stem.weight.isfinite().all() and stem.weight.std() > 0


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
