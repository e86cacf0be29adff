"""Models from elsewhere: torchvision's and functions of one's own; what is wrong is one line."""

import sys

import pytest
import torch

from gon_core import architectures
from gon_core.architectures import make, problem

MODULE = """
import torch
from torch import nn

class Two(nn.Module):
    def forward(self, images):
        return images, images

def make_model(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Dropout(), nn.Linear(4, classes))

def one_more(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes + 1))

def small_images(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, classes))

def pair(classes):
    return Two()

def nothing(classes):
    return None

def raises(classes):
    raise KeyError("a mistake")

def leaves(classes):
    raise SystemExit(7)

number = 3
"""
SHAPE = (3, 32, 32)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a user's in the working directory."""
    (tmp_path / "own_models.py").write_text(MODULE)
    (tmp_path / "broken_models.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "leaving_models.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_models", raising=False)


def test_a_function_makes_the_same_model_from_the_same_stream(module):
    def made(seed):
        stream = torch.Generator().manual_seed(seed)
        return make("own_models:make_model", 5, SHAPE, stream).state_dict()

    before = torch.random.get_rng_state()
    first, again, other = made(0), made(0), made(1)
    assert torch.equal(torch.random.get_rng_state(), before), "the global stream is left alone"
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert first["1.num_batches_tracked"] == 0, "it was tried out and is as new"
    assert make("own_models:make_model", 5, SHAPE)(torch.rand(2, *SHAPE)).shape == (2, 5)
    assert problem("own_models:make_model", 5, SHAPE) == ""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("own_models:one_more", "must return 5 logits an image, got [6]"),
        ("own_models:small_images", "fails on images of 3 x 32 x 32: RuntimeError: "),
        ("own_models:pair", "must return logits, got tuple"),
        ("own_models:nothing", "must return an nn.Module, got NoneType"),
        ("own_models:raises", "raised KeyError: 'a mistake'"),
        ("own_models:leaves", "raised SystemExit: 7"),
        ("leaving_models:make", "leaving_models cannot be imported (SystemExit: 7)"),
        ("own_models:number", "own_models has no function number"),
        ("own_models:not_there", "own_models has no function not_there"),
        ("broken_models:make", "broken_models cannot be imported (ModuleNotFoundError: "),
        ("not_there:make", "not_there cannot be imported (ModuleNotFoundError: "),
        ("torchvision:resnet81", "no classifier 'resnet81', nearest is 'resnet18'"),
        pytest.param(
            "torchvision:vit_b_16",
            "fails on images of 3 x 32 x 32: AssertionError",
            marks=pytest.mark.system,
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(module, name, rule):
    assert architectures.known(name) == name, "a name alone is not looked up"
    text = problem(name, 5, SHAPE)
    assert rule in text and "\n" not in text


@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_one_that_returns_more_than_logits_while_it_trains_is_refused():
    # Where shapes are checked, as in these tests, the check says it first.
    assert "GoogLeNetOutputs" in problem("torchvision:googlenet", 5, (3, 64, 64))


def test_classifiers_of_torchvision_have_any_classes_and_their_own_normalisation():
    model = make("torchvision:shufflenet_v2_x0_5", 7, (3, 64, 64)).eval()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 7)
    assert "fc.weight" in model.state_dict(), "its weights have torchvision's names"


@pytest.mark.parametrize("name", ["os.system", "a b:c", "module:", ":function", "m:f:g", "m:f()"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="torchvision:NAME or module:function; did you mean"):
        architectures.known(name)
