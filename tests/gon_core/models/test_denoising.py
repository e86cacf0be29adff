"""The ResNet-152 with feature denoising: its operation as a plain sum, its padding, its start."""

import math

import pytest
import torch
from torch import nn

from gon_core.models import weights
from gon_core.models.denoising import Denoising, Same, resnet152_denoising
from gon_core.models.imagenet import backbone


def test_a_block_adds_the_mean_over_positions_that_are_alike():
    torch.manual_seed(0)
    block = Denoising(6).double().eval()
    for parameter in (*block.theta.parameters(), *block.phi.parameters()):
        nn.init.normal_(parameter, std=1.0)
    nn.init.uniform_(block.bn.weight, 0.5, 1.0)
    features = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    found = block(features)
    for image in range(2):
        x = features[image].flatten(1)  # [channel, position]
        theta, phi = (conv.weight[:, :, 0, 0] @ x for conv in (block.theta, block.phi))
        alike = torch.softmax(theta.T @ phi / math.sqrt(3), dim=1)  # [to, from]
        mean = torch.stack([
            sum(alike[to, other] * x[:, other] for other in range(12)) for to in range(12)
        ], dim=1)  # fmt: skip
        added = block.bn((block.conv.weight[:, :, 0, 0] @ mean).view(1, 6, 3, 4))[0]
        assert torch.allclose(found[image], features[image] + added, atol=1e-12)


def test_a_new_block_changes_nothing():
    block, features = Denoising(4), torch.rand(2, 4, 5, 5)
    assert torch.equal(block(features), features)


@pytest.mark.parametrize("side", [7, 8])
def test_odd_padding_lies_right_and_below(side):
    layer = Same(nn.Conv2d(1, 1, 3, stride=2, bias=False), 0.0)
    nn.init.zeros_(layer.inner.weight)
    layer.inner.weight.data[0, 0, 0, 0] = 1.0  # passes on the first pixel of each window
    image = torch.arange(1.0, side**2 + 1).view(1, 1, side, side)
    found = layer(image)
    assert found.shape[-1] == math.ceil(side / 2)
    # An even side lacks one pixel, which is added behind: windows begin at the first pixel.
    assert found[0, 0, 0, 0] == (image[0, 0, 0, 0] if side == 8 else 0)


def test_its_layers_and_its_start_are_the_published_ones():
    with torch.device("meta"):
        plain = backbone("resnet152", 9).state_dict()
        model = resnet152_denoising(9, None)
    own = model.state_dict()
    blocks = [name for name in own if ".denoising." in name]
    assert len(blocks) == 4 * 8 and len(own) == len(plain) + len(blocks)
    assert own["layer1.denoising.theta.weight"].shape == (128, 256, 1, 1)
    network = model.backbone
    assert [len(getattr(network, f"layer{n}")) - 1 for n in (1, 2, 3, 4)] == [3, 8, 36, 3]
    assert network.layer2[0].conv1.stride == (1, 1)  # the 3x3 convolution has the stride
    assert model.mean == model.deviation == (0.5, 0.5, 0.5)
    adapted = model.adapted(plain)
    assert not weights.difference(adapted, own)


@pytest.mark.slow
def test_it_trains_and_its_output_is_of_its_classes():
    model = resnet152_denoising(5, torch.Generator().manual_seed(0))
    assert not model.backbone.layer1[0].bn3.weight.any()
    assert model.backbone.fc.weight.std().item() == pytest.approx(0.01, rel=0.1)
    logits = model(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    gamma = model.backbone.layer4.denoising.bn.weight.grad
    assert gamma is not None and gamma.abs().sum() > 0
