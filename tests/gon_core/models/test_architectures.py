"""The table of architectures, which is known before torch is."""

import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import get_args

import pytest
import torch

from gon_core.architectures import ARCHITECTURES, describe
from gon_core.config import IMAGENET_ARCHITECTURES, Architecture
from gon_core.models.weights import CONSTRUCTORS


def test_it_describes_every_name_that_a_configuration_may_have():
    assert tuple(ARCHITECTURES) == get_args(Architecture) == tuple(CONSTRUCTORS)
    kinds = {name: description.kind for name, description in ARCHITECTURES.items()}
    imagenet = tuple(name for name, kind in kinds.items() if kind == "imagenet")
    assert imagenet == IMAGENET_ARCHITECTURES
    assert set(kinds.values()) == {"mnist", "imagenet"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_constructor_makes_what_is_described(name):
    description = describe(name)
    # ImageNet's models are only asked for shapes.
    with torch.device("meta" if description.kind == "imagenet" else "cpu"):
        model = description.construct().eval()
        logits = model(torch.rand(2, *description.image_shape))
    assert logits.shape == (2, description.classes)


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


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        ARCHITECTURES["mine"] = ARCHITECTURES["madry_cnn"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        ARCHITECTURES["madry_cnn"].classes = 11  # type: ignore[misc]


@pytest.mark.system
def test_names_are_known_without_torch():
    code = (
        "import gon_core.architectures as a, sys\n"
        "assert a.describe('resnet50').kind == 'imagenet'\n"
        "assert not {'torch', 'torchvision', 'pyarrow'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
