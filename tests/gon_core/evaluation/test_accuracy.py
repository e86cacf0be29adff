"""Accuracy against a plain loop."""

import pytest
import torch
from torch import nn

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import AccuracyRow, EvaluationSet, accuracy, count_correct, evaluate
from gon_core.evaluation import mean_top1 as mean
from gon_core.models import MadryCNN
from gon_core.seeding import generator


@pytest.fixture(scope="module")
def model():
    """A classifier that answers by chance, and drops out unless it is in evaluation mode."""
    linear = nn.utils.skip_init(nn.Linear, 784, 10)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.normal_(generator=generator(0, "weights"))
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)


def plain_count(model, data):
    """Count right answers one image at a time, in float64."""
    linear, correct = model[2], 0
    for image, label in zip(data.images, data.labels, strict=True):
        logits = linear.weight.double() @ (image.flatten().double() / 255) + linear.bias.double()
        correct += int(logits.argmax() == label)
    return correct


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 600])
def test_it_counts_as_a_plain_loop_does(model, mnist, count):
    data = mnist[1][:count]
    assert count_correct(model, data) == plain_count(model, data)


@pytest.mark.parametrize("size", [1, 7, 599, 10_000])
def test_batches_do_not_matter(model, mnist, monkeypatch, size):
    data = mnist[1][:600]
    expected = count_correct(model, data)
    monkeypatch.setattr(accuracy, "BATCH_SIZE", size)
    assert count_correct(model, data) == expected > 0


@pytest.mark.parametrize("training", [True, False])
def test_training_mode_is_restored_and_no_gradient_is_left(model, mnist, training):
    model.train(training)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    count_correct(model, mnist[1][:10])
    assert model.training is training and model[1].training is training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_bf16_counts_nearly_the_same(mnist):
    model = MadryCNN()
    data = mnist[1][:60]
    assert abs(count_correct(model, data, bf16=True) - count_correct(model, data)) <= 3


def test_one_row_for_the_clean_images_and_each_corruption_in_order(model, evaluation_sets):
    corrupted = evaluation_sets["test", 0]
    rows = [*evaluate(model, corrupted)]
    assert [row.corruption for row in rows] == ["clean", *CORRUPTIONS]
    assert [row.severity for row in rows] == [0] + [1] * 15
    assert {(row.split, row.count) for row in rows} == {("test", 40)}
    for row in rows:
        images = corrupted.images[row.corruption]
        assert row.correct == plain_count(model, LabelledImages(images, corrupted.labels))
    assert len({row.correct for row in rows}) > 3


def test_rows_are_made_one_by_one(model, digits):
    rows = evaluate(model, EvaluationSet("validation", {"clean": digits.images}, digits.labels))
    assert next(rows).split == "validation"
    assert next(rows, None) is None


def row(split, corruption, correct, count=10):
    """Return a row of so many right answers."""
    return AccuracyRow(split, corruption, int(corruption != "clean"), correct, count)


def test_accuracy_is_in_percent_with_its_interval():
    assert row("test", "fog", 8).top1 == 80
    assert row("test", "fog", 8).interval == pytest.approx((80, 49.02, 94.33), abs=0.005)


def test_the_mean_is_over_the_corruptions_of_one_split():
    rows = [
        row("test", "clean", 10),
        row("test", "fog", 2),
        row("test", "shear", 30, count=100),
        row("validation", "clean", 0),
        row("validation", "fog", 9),
    ]
    assert mean(rows, "test") == 25
    assert mean(rows, "validation") == 90
    with pytest.raises(ValueError, match="at least one"):
        mean(rows[:1], "test")
