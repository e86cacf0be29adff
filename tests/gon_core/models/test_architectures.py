"""The models by name, which are known before torch is."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
import torch

from gon_core.architectures import ARCHITECTURES, OF_IMAGENET, describe, fitting, make
from gon_core.config import Given

DIGITS = (1, 28, 28)


@pytest.mark.system
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_configuration_may_name_it_and_it_makes_what_is_described(name):
    assert Given(name="a", architecture=name, sha256="b").architecture == name
    description = describe(name)
    # ImageNet's models are only asked for shapes.
    with torch.device("meta" if description.is_slow else "cpu"):
        model = make(name).eval()
        logits = model(torch.rand(2, *description.image_shape))
    assert logits.shape == (2, description.classes)


def test_madry_cnn_is_made_for_other_classes_and_images():
    model = make("madry_cnn", 5, (3, 16, 12))
    assert model(torch.rand(2, 3, 16, 12)).shape == (2, 5)


def test_those_that_fit_are_known():
    assert fitting(10, DIGITS) == ("madry_cnn", "wong_small", "wong_large", "rony_cnn")
    assert OF_IMAGENET == (
        "resnet18", "resnet50", "resnet152", "alexnet", "densenet121", "inception_v3",
        "resnet50_antialiased", "resnet152_denoising",
    )  # fmt: skip
    photos = ("madry_cnn", "resnet9_small", "preactresnet18", "wrn_40_2", *OF_IMAGENET)
    assert fitting(1000, (3, 299, 299)) == photos
    too_small = ("alexnet", "inception_v3", "resnet50_antialiased")
    assert fitting(7, (3, 32, 32)) == tuple(name for name in photos if name not in too_small)
    assert fitting(7, (3, 16, 16)) == fitting(7, (1, 64, 64)) == ("madry_cnn",)


def test_a_model_for_other_images_is_refused_with_those_that_fit():
    with pytest.raises(ValueError, match=r"wong_small is not for 5 classes in images of 3 x 16 x 16"
                       ".*models that are: madry_cnn"):  # fmt: skip
        make("wong_small", 5, (3, 16, 16))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("wong_smal", "wong_small"), ("resnet-50", "resnet50"), ("densenet", "densenet121"),
     ("MadryCNN", "madry_cnn"), ("", "")],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ValueError) as refused:
        describe(name)
    message = str(refused.value)
    assert all(legal in message for legal in ARCHITECTURES) and "\n" not in message
    assert f"got {name!r}" in message and f"('{hint}" in message


def test_a_description_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        ARCHITECTURES["madry_cnn"].classes = 11  # type: ignore[misc]


@pytest.mark.system
def test_names_are_known_without_torch():
    code = (
        "import gon_core.architectures as a, gon_core.benchmarks as b, sys\n"
        "assert a.describe(b.get('mnist').model).classes == 10\n"
        "assert not {'torch', 'torchvision', 'pyarrow'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
