"""Test images at five severities, and the accuracy on them."""

import pytest
import torch

from gon_core import benchmarks
from gon_core.corruptions.mnist_c import CORRUPTIONS, SEVERITIES
from gon_core.evaluation import (
    build,
    count_correct,
    evaluate,
    mean_top1,
)
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT
from tests.small_model import SmallCNN

pytestmark = pytest.mark.system

ALL = [(CLEAN, 0)] + [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]


@pytest.fixture(scope="module")
def sets(digits):
    return build(digits, SEVERITIES_SPLIT, benchmarks.get("mnist").suites["severities"], 1)


@pytest.fixture(scope="module")
def model():
    return SmallCNN()


def test_the_third_severity_is_the_published_set(sets, digits, evaluation_sets):
    assert list(sets.images) == ALL
    assert torch.equal(sets.clean.labels, digits.labels)
    for name in CORRUPTIONS:
        second, third, fourth = (sets.images[name, severity].images for severity in (2, 3, 4))
        assert torch.equal(third, evaluation_sets["test", 1].images[name, 1].images)
        assert not torch.equal(second, third) and not torch.equal(fourth, third)


def test_sets_move_to_a_device(sets):
    moved = sets.to("meta")
    assert list(moved.images) == ALL
    assert {images.device.type for images in moved.images.values()} == {"meta"}


def test_rows_have_a_split_of_their_own(sets, model):
    rows = list(evaluate(model, sets))
    assert [(row.setting, row.severity) for row in rows] == ALL
    assert {(row.split, row.count) for row in rows} == {(SEVERITIES_SPLIT, 40)}
    for row in rows:
        images = sets.images[row.setting, row.severity].images.float() / 255
        with torch.inference_mode():
            right = model(images).argmax(1) == sets.clean.labels
        assert row.extra["correct"] == int(right.sum())
        assert row.extra["top5"] >= row.value


def test_the_clean_images_are_a_row_of_the_same_split(sets, model, digits):
    first, *_ = evaluate(model, sets)
    assert (first.split, first.setting, first.severity) == (SEVERITIES_SPLIT, CLEAN, 0)
    assert (first.extra["correct"], first.count) == (count_correct(model, digits), 40)


def test_the_third_severity_has_the_published_accuracy(sets, model, evaluation_sets):
    test = list(evaluate(model, evaluation_sets["test", 1]))
    published = {row.setting: row.extra["correct"] for row in test if row.setting != "clean"}
    rows = list(evaluate(model, sets))
    assert {row.setting: row.extra["correct"] for row in rows if row.severity == 3} == published
    assert mean_top1(test + rows, "test") == mean_top1(test, "test")


def test_the_model_keeps_its_training_mode_and_may_run_in_bfloat16(sets, model):
    model.train()
    rows = list(evaluate(model, sets, bf16=True))
    assert model.training
    assert len(rows) == 76
