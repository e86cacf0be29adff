"""Corrupted images are made once: the same for all trials, different for validation and test."""

import itertools
from dataclasses import replace

import pytest
import torch

from gon_core import benchmarks
from gon_core.corruptions.mnist_c import CORRUPTIONS, corrupt
from gon_core.evaluation import EvaluationSet, build, mixed
from gon_core.evaluation.corrupted_sets import CLEAN_KEY, CorruptedImages

SUITE = benchmarks.get("mnist").suites["test"]
KEYS = [CLEAN_KEY, *((name, 1) for name in CORRUPTIONS)]

DETERMINISTIC = {"clean", "scale", "brightness", "stripe", "canny_edges"}


def test_a_set_holds_the_clean_images_and_every_corruption(digits, evaluation_sets):
    for (split, _), corrupted in evaluation_sets.items():
        assert corrupted.split == split
        assert list(corrupted.images) == KEYS
        assert torch.equal(corrupted.clean.batch(slice(None)), digits.images)
        assert torch.equal(corrupted.clean.labels, digits.labels)
        for images in corrupted.images.values():
            found = images.batch(slice(None))
            assert found.shape == (40, 1, 28, 28) and found.dtype == torch.uint8


def test_splits_and_seeds_never_share_their_draws(evaluation_sets):
    for one, other in itertools.combinations(evaluation_sets.values(), 2):
        pairs = {key[0]: (one.images[key], other.images[key]) for key in KEYS}
        same = {name for name, (a, b) in pairs.items() if torch.equal(a.images, b.images)}
        assert same == DETERMINISTIC


def test_the_same_seed_gives_the_same_set_whatever_the_global_seed(digits, evaluation_sets):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = build(digits, "test", SUITE, 1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, images in evaluation_sets["test", 1].images.items():
        assert torch.equal(again.images[name].images, images.images)


def test_fewer_images_are_corrupted_like_the_first_of_more(digits, evaluation_sets):
    few = build(digits[:3], "validation", SUITE, 0)
    for name, images in evaluation_sets["validation", 0].images.items():
        assert torch.equal(few.images[name].images, images.images[:3])


@pytest.mark.system
def test_the_test_images_are_those_of_the_corruption_functions(digits, evaluation_sets):
    # Test images of seed s are drawn from stream 2 s + 1, validation images from 2 s.
    for (split, seed), corrupted in evaluation_sets.items():
        expected = corrupt(digits.images[:, 0], "fog", 2 * seed + (split == "test"))
        assert torch.equal(corrupted.images["fog", 1].images[:, 0], expected)


def test_mixed_shows_each_image_under_one_corruption_in_turn(digits, evaluation_sets):
    corrupted = evaluation_sets["validation", 0]
    sample = mixed(corrupted)
    assert len(sample) == 40 and torch.equal(sample.labels, digits.labels)
    for index in range(40):
        name = CORRUPTIONS[index % 15]
        assert torch.equal(sample.images[index], corrupted.images[name, 1].images[index])


def test_the_next_trial_has_the_sample_of_the_one_before(evaluation_sets):
    corrupted = evaluation_sets["validation", 1]
    assert mixed(corrupted.to("cpu")) is mixed(corrupted)
    elsewhere = corrupted.to("meta")
    assert mixed(elsewhere).device.type == "meta" and mixed(elsewhere) is not mixed(corrupted)


def test_a_set_moves_whole(evaluation_sets):
    corrupted = evaluation_sets["test", 0]
    moved = corrupted.to("meta")
    assert isinstance(moved, EvaluationSet) and moved.split == "test"
    assert list(moved.images) == list(corrupted.images)
    assert {images.device.type for images in moved.images.values()} == {"meta"}


@pytest.mark.slow
@pytest.mark.system
def test_images_that_are_corrupted_when_they_are_read_are_those_that_are_made_once(mnist):
    data = mnist[1].first(600)  # three blocks, the last one in part
    made = build(data, "test", SUITE, 1)
    read = build(data, "test", replace(SUITE, in_memory=False), 1)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))[:40]
    for name in ("glass_blur", "fog"):
        expected, found = made.images[name, 1], read.images[name, 1]
        assert isinstance(found, CorruptedImages) and len(found) == 600
        for index in (order, slice(240, 260), slice(None)):
            assert torch.equal(found.batch(index), expected.batch(index))
        assert torch.equal(found.first(30).batch(slice(20, 40)), expected.batch(slice(20, 30)))
    few = replace(SUITE, corruptions=("fog", "scale"))
    sets = [build(data, "test", replace(few, in_memory=is_made), 1) for is_made in (True, False)]
    assert torch.equal(mixed(sets[0]).images, mixed(sets[1]).images)
