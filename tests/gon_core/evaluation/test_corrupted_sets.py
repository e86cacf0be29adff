"""Corrupted images are made once: the same for all trials, different for validation and test."""

import itertools

import torch

from gon_core.corruptions.mnist_c import CORRUPTIONS, corrupt
from gon_core.evaluation import EvaluationSet, build, mixed

DETERMINISTIC = {"clean", "scale", "brightness", "stripe", "canny_edges"}


def test_a_set_holds_the_clean_images_and_every_corruption(digits, evaluation_sets):
    for (split, _), corrupted in evaluation_sets.items():
        assert corrupted.split == split
        assert list(corrupted.images) == ["clean", *CORRUPTIONS]
        assert torch.equal(corrupted.images["clean"], digits.images)
        assert torch.equal(corrupted.labels, digits.labels)
        for images in corrupted.images.values():
            assert images.shape == (40, 28, 28) and images.dtype == torch.uint8


def test_splits_and_seeds_never_share_their_draws(evaluation_sets):
    for one, other in itertools.combinations(evaluation_sets.values(), 2):
        same = {name for name in one.images if torch.equal(one.images[name], other.images[name])}
        assert same == DETERMINISTIC


def test_the_same_seed_gives_the_same_set_whatever_the_global_seed(digits, evaluation_sets):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = build(digits, "test", 1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, images in evaluation_sets["test", 1].images.items():
        assert torch.equal(again.images[name], images)


def test_fewer_images_are_corrupted_like_the_first_of_more(digits, evaluation_sets):
    few = build(digits[:3], "validation", 0)
    for name, images in evaluation_sets["validation", 0].images.items():
        assert torch.equal(few.images[name], images[:3])


def test_the_test_images_are_those_of_the_corruption_functions(digits, evaluation_sets):
    # Test images of seed s are drawn from stream 2 s + 1, validation images from 2 s.
    for (split, seed), corrupted in evaluation_sets.items():
        expected = corrupt(digits.images, "fog", 2 * seed + (split == "test"))
        assert torch.equal(corrupted.images["fog"], expected)


def test_mixed_shows_each_image_under_one_corruption_in_turn(digits, evaluation_sets):
    corrupted = evaluation_sets["validation", 0]
    sample = mixed(corrupted)
    assert len(sample) == 40 and torch.equal(sample.labels, digits.labels)
    for index in range(40):
        name = CORRUPTIONS[index % 15]
        assert torch.equal(sample.images[index], corrupted.images[name][index])


def test_a_set_moves_whole(evaluation_sets):
    corrupted = evaluation_sets["test", 0]
    moved = corrupted.to("meta")
    assert isinstance(moved, EvaluationSet) and moved.split == "test"
    assert list(moved.images) == list(corrupted.images)
    assert {tensor.device.type for tensor in [*moved.images.values(), moved.labels]} == {"meta"}
