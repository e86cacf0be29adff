"""Test images at five severities, and the accuracy on them."""

import pytest
import torch

from gon_core.corruptions.mnist_c import CORRUPTIONS, SEVERITIES
from gon_core.evaluation import (
    SeveritySets,
    build_severities,
    count_correct,
    evaluate,
    evaluate_severities,
    mean_top1,
)
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT
from gon_core.models import MadryCNN

ALL = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]


@pytest.fixture(scope="module")
def sets(digits):
    return build_severities(digits, 1)


@pytest.fixture(scope="module")
def model():
    return MadryCNN()


def test_the_third_severity_is_the_published_set(sets, digits, evaluation_sets):
    assert list(sets.images) == ALL
    assert torch.equal(sets.labels, digits.labels)
    for name in CORRUPTIONS:
        assert torch.equal(sets.images[name, 3], evaluation_sets["test", 1].images[name])
        assert not torch.equal(sets.images[name, 2], sets.images[name, 3])
        assert not torch.equal(sets.images[name, 4], sets.images[name, 3])


def test_sets_move_to_a_device(sets):
    moved = sets.to("meta")
    assert list(moved.images) == ALL
    assert {tensor.device.type for tensor in (*moved.images.values(), moved.labels)} == {"meta"}


def test_rows_have_a_split_of_their_own(sets, model):
    rows = list(evaluate_severities(model, sets))
    assert [(row.setting, row.severity) for row in rows] == ALL
    assert {(row.split, row.count) for row in rows} == {(SEVERITIES_SPLIT, 40)}
    for row in rows:
        images = sets.images[row.setting, row.severity].unsqueeze(1).float() / 255
        with torch.inference_mode():
            right = model(images).argmax(1) == sets.labels
        assert row.extra["correct"] == int(right.sum())
        assert row.extra["top5"] >= row.value


def test_sets_may_hold_the_same_images_without_corruption(sets, model, digits):
    with_clean = SeveritySets({(CLEAN, 0): digits.images} | sets.images, sets.labels)
    first, *rest = evaluate_severities(model, with_clean)
    assert (first.split, first.setting, first.severity) == (SEVERITIES_SPLIT, CLEAN, 0)
    assert (first.extra["correct"], first.count) == (count_correct(model, digits), 40)
    assert rest == list(evaluate_severities(model, sets))


def test_the_third_severity_has_the_published_accuracy(sets, model, evaluation_sets):
    test = list(evaluate(model, evaluation_sets["test", 1]))
    published = {row.setting: row.extra["correct"] for row in test if row.setting != "clean"}
    rows = list(evaluate_severities(model, sets))
    assert {row.setting: row.extra["correct"] for row in rows if row.severity == 3} == published
    assert mean_top1(test + rows, "test") == mean_top1(test, "test")


def test_the_model_keeps_its_training_mode_and_may_run_in_bfloat16(sets, model):
    model.train()
    rows = list(evaluate_severities(model, sets, bf16=True))
    assert model.training
    assert len(rows) == 75
