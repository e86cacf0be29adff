"""Splits: disjoint, nested, and the same for ever."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gon_core.benchmarks.mnist import HELD_OUT
from gon_core.config import DataConfig
from gon_core.data.splits import LabelledImages, split

COUNT = HELD_OUT + 300


def numbered(count: int) -> LabelledImages:
    """Return images that carry their own number in their first three pixels."""
    numbers = torch.arange(count)
    images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    for place in range(3):
        images[:, 0, 0, place] = (numbers >> (8 * place)) % 256
    return LabelledImages(images, numbers % 10)


def numbers_of(part: LabelledImages) -> list[int]:
    """Return the numbers that ``numbered`` wrote."""
    first = part.images[:, 0, 0].long()
    numbers = first[:, 0] + (first[:, 1] << 8) + (first[:, 2] << 16)
    assert torch.equal(numbers % 10, part.labels)
    return numbers.tolist()


TRAINING, TEST = numbered(COUNT), numbered(50)


def digest(part: LabelledImages) -> str:
    """Return twelve digits of the SHA-256 of images and labels."""
    content = part.images.numpy().tobytes() + part.labels.numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:12]


def test_the_default_split_of_mnist_never_changes(mnist):
    whole = split(*mnist, DataConfig())
    assert (len(whole.training), len(whole.validation), len(whole.test)) == (55_000, 5_000, 10_000)
    assert digest(whole.training) == "f79442bb15f7"
    assert digest(whole.validation) == "85e6a6b7b1bd"
    assert digest(whole.test) == "a0863a96c44e"
    assert torch.equal(whole.test.images, mnist[1].images)


@settings(max_examples=25, deadline=None)
@given(
    training=st.none() | st.integers(1, 300),
    validation=st.integers(1, HELD_OUT),
    test=st.integers(1, 50),
    seed=st.integers(-(2**40), 2**40),
)
def test_splits_are_disjoint_nested_and_of_the_size_asked_for(training, validation, test, seed):
    whole = split(TRAINING, TEST, DataConfig(test_images=50, split_seed=seed))
    part = split(
        TRAINING,
        TEST,
        DataConfig(
            training_images=training,
            validation_images=validation,
            test_images=test,
            split_seed=seed,
        ),
    )
    assert sorted(numbers_of(whole.training) + numbers_of(whole.validation)) == [*range(COUNT)]
    assert numbers_of(part.training) == numbers_of(whole.training)[:training]
    assert numbers_of(part.validation) == numbers_of(whole.validation)[:validation]
    assert numbers_of(part.test) == [*range(test)]


def test_the_seed_alone_decides_what_is_held_out():
    parts = {
        seed: numbers_of(
            split(TRAINING, TEST, DataConfig(test_images=50, split_seed=seed)).validation
        )
        for seed in range(3)
    }
    assert len({tuple(part) for part in parts.values()}) == 3
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = split(TRAINING, TEST, DataConfig(test_images=50, split_seed=1))
    assert numbers_of(again.validation) == parts[1]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("images", "config", "rule"),
    [
        (COUNT, {"training_images": 301}, "training_images must be at most 300, got 301"),
        (COUNT, {"test_images": 51}, "test_images must be at most 50, got 51"),
        (HELD_OUT, {"test_images": 50}, "training_images must be at most 0"),
        (HELD_OUT - 1, {"test_images": 50}, "training_images must be at most 0"),
        (10, {"test_images": 5, "validation_images": 5}, "training_images must be at most 0"),
    ],
)
def test_more_than_there_is_is_refused(images, config, rule):
    with pytest.raises(ValueError, match=rule):
        split(TRAINING[:images], TEST, DataConfig(**config))


def test_a_slice_keeps_images_with_their_labels():
    assert numbers_of(TRAINING[5:8]) == [5, 6, 7]
    assert numbers_of(TRAINING[torch.tensor([9, 2])]) == [9, 2]
    assert numbers_of(TRAINING[:3].to("cpu")) == [0, 1, 2]


def test_a_balanced_sample_has_as_many_of_each_class_and_is_a_part_of_a_larger_one(mnist):
    few, more = (
        split(*mnist, DataConfig(test_images=n, validation_images=n, sample="balanced"))
        for n in (100, 1_000)
    )
    for found, each in ((few, 10), (more, 100)):
        for images in (found.test, found.validation):
            assert torch.bincount(images.labels).tolist() == [each] * 10
    assert torch.equal(few.chosen, more.chosen[:100])
    assert torch.equal(few.validation.batch(slice(100)), more.validation.batch(slice(100)))
    test = mnist[1]
    assert torch.equal(more.test.batch(slice(1_000)), test.batch(more.chosen))
    assert not torch.equal(more.chosen, torch.arange(1_000))
    other = split(*mnist, DataConfig(test_images=100, sample="balanced", split_seed=1))
    assert set(other.chosen.tolist()) != set(few.chosen.tolist())
    # What is held out, and what is trained on, is the same as without.
    plain = split(*mnist, DataConfig(test_images=100, validation_images=1_000))
    assert torch.equal(plain.training.labels, more.training.labels)


def test_a_sample_of_all_images_is_all_of_them(mnist):
    config = DataConfig(sample="balanced")
    assert sorted(split(*mnist, config).chosen.tolist()) == list(range(10_000))
