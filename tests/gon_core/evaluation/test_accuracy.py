"""Accuracy against a plain loop."""

import pytest
import torch
from torch import nn

from gon_core.blank import blank
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import (
    EvaluationSet,
    accuracy,
    correct_images,
    count_correct,
    evaluate,
)
from gon_core.evaluation import mean_top1 as mean
from gon_core.measurement import accuracy_row
from gon_core.models import MadryCNN
from gon_core.seeding import generator


@pytest.fixture(scope="module")
def model():
    """A classifier that answers by chance, and drops out unless it is in evaluation mode."""
    linear = blank(nn.Linear, 784, 10)
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


def plain_top5(model, data):
    """Count labels that fewer than five classes are above, one image at a time, in float64."""
    linear, among = model[2], 0
    for image, label in zip(data.images, data.labels, strict=True):
        logits = linear.weight.double() @ (image.flatten().double() / 255) + linear.bias.double()
        among += int((logits > logits[label]).sum() < 5)
    return among


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 600])
def test_it_counts_as_a_plain_loop_does(model, mnist, count):
    data = mnist[1][:count]
    assert count_correct(model, data) == plain_count(model, data)


@pytest.mark.parametrize("count", [0, 1, 251, 600])
def test_top5_is_counted_in_the_same_pass(model, mnist, count):
    data, passes = mnist[1][:count], []
    hook = model.register_forward_hook(lambda *_: passes.append(1))
    found = accuracy.count(model, accuracy.batches(data))
    hook.remove()
    assert found[:3] == (plain_count(model, data), plain_top5(model, data), count)
    assert len(passes) == -(-count // accuracy.BATCH_SIZE)
    assert found.top1 == count_correct(model, data) <= found.top5


class Answers(nn.Module):
    """A classifier that gives the same logits for every image."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images):
        return self.logits.expand(len(images), -1)


@pytest.mark.parametrize(
    ("logits", "first", "five"),
    [
        ([0.0] * 10, {0}, {0, 1, 2, 3, 4}),
        ([float("nan")] * 10, {0}, {0, 1, 2, 3, 4}),
        ([1.0, 2.0, 3.0], {2}, {0, 1, 2}),
        ([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0], {7}, {7, 1, 2, 3, 4}),
        ([5.0, float("inf"), -1.0, -2.0, float("-inf"), 4.0, 3.0], {1}, {0, 1, 2, 5, 6}),
        ([0.0, float("nan"), 3.0, 2.0, 1.0, -1.0, 4.0], {1}, {1, 2, 3, 4, 6}),
    ],
)
def test_equal_and_undefined_logits_rank_as_argmax_ranks_them(logits, first, five):
    for label in range(len(logits)):
        data = LabelledImages(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.full((3,), label))
        found = accuracy.count(Answers(logits), accuracy.batches(data))
        assert found[:3] == (3 * (label in first), 3 * (label in five), 3)
        assert found.top1 == count_correct(Answers(logits), data)


@pytest.mark.parametrize("count", [0, 1, 600])
def test_correct_images_are_those_that_are_counted(model, mnist, count):
    data = mnist[1][:count]
    found = correct_images(model, data)
    assert found.shape == (count,) and found.dtype == torch.bool
    assert int(found.sum()) == count_correct(model, data)
    for index in range(min(count, 5)):
        assert bool(found[index]) == bool(plain_count(model, data[index : index + 1]))


def test_training_mode_is_restored_after_a_failure(mnist):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 10)).train()
    with pytest.raises(RuntimeError):
        count_correct(model, mnist[1][:2])
    assert model.training


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
    assert [row.setting for row in rows] == ["clean", *CORRUPTIONS]
    assert [row.severity for row in rows] == [0] + [1] * 15
    assert {(row.split, row.count) for row in rows} == {("test", 40)}
    for row in rows:
        data = corrupted.images[row.setting, row.severity]
        assert row.extra["correct"] == plain_count(model, data)
        assert row.extra["top5"] == pytest.approx(100 * plain_top5(model, data) / row.count)
    assert len({row.extra["correct"] for row in rows}) > 3


def test_rows_are_made_one_by_one(model, digits):
    rows = evaluate(model, EvaluationSet("validation", {("clean", 0): digits}))
    assert next(rows).split == "validation"
    assert next(rows, None) is None


def row(split, corruption, correct, count=10):
    """Return a row of so many right answers."""
    return accuracy_row(split, corruption, int(corruption != "clean"), correct, count)


def test_accuracy_is_in_percent_with_its_interval():
    assert row("test", "fog", 8).value == 80
    assert row("test", "fog", 8).interval == pytest.approx((80, 49.02, 94.33), abs=0.005)


def test_top5_is_in_percent_where_it_was_counted():
    counted = accuracy_row("test", "fog", 3, 4, 10, 8)
    assert counted.value == 40 and counted.number("top5") == 80
    assert row("test", "fog", 8).number("top5") is None


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
