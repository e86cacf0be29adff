"""Example digits are those that are evaluated, and survive being stored."""

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save

from gon_core import benchmarks
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import build, examples

MNIST = benchmarks.get("mnist")


@pytest.fixture(scope="module")
def published(digits):
    return examples.make(digits, MNIST, 1, severities=False)


def same(one, other):
    assert torch.equal(one.clean, other.clean)
    assert list(one.corrupted) == list(other.corrupted)
    for name, by_severity in one.corrupted.items():
        assert list(by_severity) == list(other.corrupted[name])
        for severity, images in by_severity.items():
            assert torch.equal(images, other.corrupted[name][severity]), (name, severity)


def test_the_first_digits_of_six_classes_are_shown(digits, published):
    labels = digits.labels.tolist()
    index = [labels.index(label) for label in list(dict.fromkeys(labels))[:6]]
    assert torch.equal(published.clean, digits.images[index])


def test_they_are_images_of_the_evaluated_set(digits, evaluation_sets, published):
    evaluated = evaluation_sets["test", 1]
    index = [int((digits.images == image).all((1, 2, 3)).nonzero()[0]) for image in published.clean]
    assert list(published.corrupted) == list(CORRUPTIONS)
    for name, by_severity in published.corrupted.items():
        assert list(by_severity) == [3]
        assert torch.equal(by_severity[3], evaluated.images[name, 1].images[index]), name


def test_more_images_than_a_block_show_the_same_digits(mnist, published):
    _, test = mnist
    same(examples.make(test[:300], MNIST, 1, severities=False), published)


@pytest.mark.system
def test_severities_are_five_of_which_the_third_is_the_published_one(digits, published):
    shown = examples.make(digits, MNIST, 1, severities=True)
    for name, by_severity in shown.corrupted.items():
        assert list(by_severity) == [1, 2, 3, 4, 5]
        assert torch.equal(by_severity[3], published.corrupted[name][3])
        assert not torch.equal(by_severity[1], by_severity[5]), name
    same(examples.load(examples.dump(shown)), shown)


def test_few_images_give_few_examples(digits):
    shown = examples.make(digits[:2], MNIST, 0, severities=False)
    assert shown.clean.shape == (2, 1, 28, 28)
    same(examples.load(examples.dump(shown)), shown)
    evaluated = build(digits[:2], "test", MNIST.suites["test"], 0)
    assert torch.equal(shown.corrupted["fog"][3], evaluated.images["fog", 1].images)


IMAGES = torch.zeros((2, 1, 28, 28), dtype=torch.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"no tensors",
        save({"weight": IMAGES}),
        save({"clean": IMAGES, "gaussian": IMAGES.clone()}),
        save({"clean": IMAGES, "10/fog/much": IMAGES.clone()}),
        save({"clean": IMAGES, "10/fog/3": IMAGES[:1].clone()}),
        save({"clean": IMAGES, "10/fog/3": IMAGES.float()}),
    ],
)
def test_content_that_is_not_from_dump_is_refused(content):
    with pytest.raises((SafetensorError, KeyError, ValueError)):
        examples.load(content)
