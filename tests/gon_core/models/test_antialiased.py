"""Blurred strides: the published layers, and features that follow a shift of the image."""

import pytest
import torch

from gon_core.architectures import make
from gon_core.models import weights
from gon_core.models.antialiased import Blur, resnet50_antialiased
from gon_core.models.imagenet import backbone


def test_the_blur_is_the_binomial_filter_at_every_second_pixel():
    images = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blur = Blur(3).double()
    row = torch.tensor([1.0, 4, 6, 4, 1], dtype=torch.float64) / 16
    found = blur(images)
    assert found.shape == (2, 3, 5, 4)
    patch = images[1, 2, 2:7, 2:7]
    assert torch.isclose(found[1, 2, 2, 2], row @ patch @ row)
    # At the border pixels are mirrored, the edge not twice.
    mirrored = images[1, 2][[2, 1, 0, 1, 2]][:, [2, 1, 0, 1, 2]]
    assert torch.isclose(found[1, 2, 0, 0], row @ mirrored @ row)
    assert torch.allclose(blur(torch.ones_like(images)), torch.ones(5, 4, dtype=torch.float64))


def test_its_layers_are_the_published_ones():
    model = resnet50_antialiased(10, None)
    names = model.state_dict().keys()
    extra = [name for name in names if name.endswith(".filt")]
    assert extra == [
        "maxpool.1.filt",
        *(f"layer{n}.0.{part}.0.filt" for n in (2, 3, 4) for part in ("conv3", "downsample")),
    ]
    assert "layer2.0.conv3.1.weight" in names and "layer4.0.downsample.2.bias" in names
    network = model.backbone
    assert network.conv1.stride == (2, 2) and network.layer3[0].conv2.stride == (1, 1)
    assert network.layer1[0].downsample[0].stride == (1, 1)
    features = network.maxpool(torch.rand(1, 64, 112, 112))
    assert features.shape == (1, 64, 56, 56)


@pytest.mark.system
def test_weights_of_the_plain_model_load_into_it_one_to_one():
    plain = backbone("resnet50", 7, torch.Generator().manual_seed(3)).state_dict()
    model = weights.build(plain, "resnet50_antialiased", "here", 7, (3, 64, 64))
    own = model.state_dict()
    assert torch.equal(own["layer2.0.conv3.1.weight"], plain["layer2.0.conv3.weight"])
    assert torch.equal(own["layer2.0.downsample.1.weight"], plain["layer2.0.downsample.0.weight"])
    assert torch.equal(own["layer2.0.downsample.2.bias"], plain["layer2.0.downsample.1.bias"])
    assert torch.equal(own["layer1.0.downsample.1.bias"], plain["layer1.0.downsample.1.bias"])
    loaded = {name for name in own if not name.endswith(".filt")}
    assert len(loaded) == len(plain)
    assert weights.guess_architecture(plain, 7, (3, 64, 64)) == "resnet50"
    assert weights.guess_architecture(own, 7, (3, 64, 64)) == "resnet50_antialiased"
    again = weights.build(own, "resnet50_antialiased", "here", 7, (3, 64, 64)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in own.items())


@pytest.mark.slow
def test_features_follow_a_shift_better_than_those_of_the_plain_model():
    state = backbone("resnet50", 7, torch.Generator().manual_seed(3)).state_dict()
    images = torch.rand(2, 3, 72, 72, generator=torch.Generator().manual_seed(1))
    changes = {}
    for name in ("resnet50", "resnet50_antialiased"):
        model = weights.build(state, name, "here", 7, (3, 64, 64))
        with torch.no_grad():
            here, there = (model(images[..., k : k + 64, k : k + 64]) for k in (0, 1))
        changes[name] = ((here - there).norm() / here.norm()).item()
    assert changes["resnet50_antialiased"] < 0.9 * changes["resnet50"]


def test_it_is_made_for_any_classes():
    assert make("resnet50_antialiased", 5, (3, 64, 64))(torch.rand(2, 3, 64, 64)).shape == (2, 5)
