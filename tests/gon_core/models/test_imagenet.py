"""torchvision's classifiers: its names outside, its preprocessing inside. Nothing is downloaded."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from gon_core.models.imagenet import DEVIATION, MEAN, Normalised, backbone, inception_v3

SIZES = {"resnet18": 11_689_512, "resnet50": 25_557_032, "densenet121": 7_978_856}


@pytest.fixture(scope="module")
def model():
    """A ResNet-18 in evaluation mode."""
    return backbone("resnet18").eval()


def test_the_preprocessing_is_the_one_of_the_model_zoo():
    assert MEAN == (0.485, 0.456, 0.406) and DEVIATION == (0.229, 0.224, 0.225)
    # An inner model that passes on what it is given shows what it is given.
    passed = Normalised(nn.Flatten())(torch.tensor([0.485, 1.0, 0.0]).view(1, 3, 1, 1))
    expected = [0.0, (1 - 0.456) / 0.224, -0.406 / 0.225]
    assert passed.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_images_are_normalised_inside(model):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        logits = model(images)
        assert logits.shape == (2, 1000)
        assert torch.equal(logits, model.backbone((images - mean) / deviation))
        assert not torch.allclose(logits, model.backbone(images))


class ShownError(Exception):
    """What a layer was given."""


def test_inception_is_shown_levels_from_minus_1_to_1():
    """Its published weights take images that are normalised twice (``transform_input``)."""

    def stop(layer, inputs):
        raise ShownError(*inputs)

    with torch.device("meta"):
        model = inception_v3()
    model.backbone.Conv2d_1a_3x3.register_forward_pre_hook(stop)
    images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ShownError) as shown:
        model(images)
    torch.testing.assert_close(shown.value.args[0], 2 * images - 1)


def test_the_preprocessing_passes_gradients_and_keeps_the_type(model):
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    model(images).sum().backward()
    assert images.grad is not None and images.grad.isfinite().all() and images.grad.any()
    model.zero_grad()
    passed = Normalised(nn.Flatten())(images.detach().double())
    assert passed.dtype == torch.float64


@pytest.mark.parametrize("name", SIZES)
def test_it_has_torchvisions_names_and_size(name):
    from torchvision import models

    with torch.device("meta"):
        ours, theirs = backbone(name), models.get_model(name, weights=None)
    assert sum(parameter.numel() for parameter in ours.parameters()) == SIZES[name]
    shapes = {key: tensor.shape for key, tensor in theirs.state_dict().items()}
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == shapes


def test_torchvisions_state_dict_loads(model):
    state = {name: tensor + 1 for name, tensor in model.backbone.state_dict().items()}
    other = backbone("resnet18")
    other.load_state_dict(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in other.state_dict().items())
    del state["fc.bias"]
    with pytest.raises(RuntimeError, match=r"fc\.bias"):
        other.load_state_dict(state)


def test_the_global_stream_is_not_changed():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    backbone("resnet18")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.system
def test_torchvision_is_imported_late():
    code = (
        "import gon_core.models.imagenet, gon_core.models.weights as w, sys\n"
        "w.guess_architecture(w.make('wong_small').state_dict())\n"
        "assert 'torchvision' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
