"""CIFAR-10: its methods fit its noises, its suites are the authors'."""

import pytest
import torch

from gon_core.benchmarks.cifar10 import CIFAR10
from gon_core.corruptions import photos
from gon_core.corruptions.photos.strengths import STRENGTHS
from gon_core.data.splits import balanced_order


def test_the_sigmas_of_its_methods_are_those_of_its_noises():
    strengths = STRENGTHS[32]
    methods = CIFAR10.methods
    assert methods["gnt_mult"].sigmas == tuple(s for (s,) in strengths["gaussian_noise"])
    assert methods["speckle"].sigmas == tuple(s for (s,) in strengths["speckle_noise"])


def test_it_is_selected_on_the_four_extra_corruptions_and_tested_on_the_others():
    validation, test = CIFAR10.suites["validation"], CIFAR10.suites["test"]
    assert validation.corruptions == photos.EXTRA
    assert test.corruptions == photos.CORRUPTIONS and test.left_out == ()


def test_a_suite_without_a_corruption_says_so():
    whole, without = (CIFAR10.without(names).suites["test"] for names in ((), ("frost",)))
    assert "frost" not in without.corruptions and without.left_out == ("frost",)
    assert whole.mean == "15 corruptions" and without.mean == "14 of 15 corruptions"


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_any_part_of_its_test_images_has_all_classes_alike(count):
    labels = torch.arange(10).repeat_interleave(300)
    order = balanced_order(labels, torch.Generator().manual_seed(1))
    assert torch.equal(order.sort()[0], torch.arange(3000))
    assert torch.bincount(labels[order[:count]]).tolist() == [count // 10] * 10
    other = balanced_order(labels, torch.Generator().manual_seed(2))
    assert not torch.equal(order, other)
