"""The files beside a result: which images are right, and images with noise of the size epsilon*."""

import math

import pytest
import torch
from safetensors.torch import save

from gon_core.data import idx
from gon_core.evaluation import NOISES, perturbed, right_images
from gon_core.seeding import generator


def test_right_images_come_back_and_average_over_corruptions():
    right = {
        "clean": torch.tensor([True, True]),
        "fog": torch.tensor([True, False]),
        "scale": torch.tensor([True, True]),
    }
    found = right_images.load(right_images.dump(right))
    assert found.keys() == right.keys() and all(torch.equal(found[k], right[k]) for k in right)
    assert right_images.mean_over_corruptions(found).tolist() == [100, 50]


@pytest.mark.parametrize("content", [b"", b"nonsense", save({"a": torch.zeros(1)})])
def test_other_files_are_refused(content):
    with pytest.raises(ValueError, match="not a file of right images"):
        right_images.load(content)


def test_perturbed_images_have_the_size_that_was_asked_for():
    images = idx.load("mnist")[1].images[:5]
    sizes = {"gaussian": 5.0, "uniform": math.inf, "speckle": 0.0}
    shown = perturbed.perturb(images, NOISES, sizes, generator(0, "noise"))
    assert shown.keys() == {"clean", "gaussian"}  # no image for never, none for already wrong
    moved = (shown["gaussian"].float() - shown["clean"].float()) / 255
    assert moved.flatten(1).norm(dim=1).tolist() == pytest.approx([5.0] * 3, abs=0.05)
    again = perturbed.load(perturbed.dump(shown))
    assert all(torch.equal(again[name], shown[name]) for name in shown)
    with pytest.raises(ValueError, match="clean is missing"):
        perturbed.load(perturbed.dump({"gaussian": shown["gaussian"]}))
