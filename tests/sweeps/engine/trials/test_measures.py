"""What is measured of a final model: all that is configured, the same for every model."""

import statistics

import pytest
import torch

from gon_core import architectures
from gon_core.config import DataConfig, EvaluationConfig
from gon_core.data.splits import split
from gon_core.evaluation import evaluate, perturbed, right_images
from gon_core.measurement import TOP1, mean_top1, select
from sweeps.engine.records import EXAMPLES, PERTURBED, RIGHT
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.evaluation_steps import Steps
from sweeps.engine.trials.measures import measure, prepare_data, write_examples

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("small_model")]
DATA = DataConfig(training_images=60, validation_images=12, test_images=16)
ALL = EvaluationConfig(
    measures=("attacks", "epsilon_star", "severities"), images=5, generator_steps=2,
    generator_blocks=1, generator_batch=5,
)  # fmt: skip


def small():
    return architectures.make("madry_cnn")


@pytest.fixture(scope="module")
def splits(images):
    return split(*images, DATA)


@pytest.fixture(scope="module")
def prepared(splits):
    return prepare_data(splits, ALL)


@pytest.fixture(scope="module")
def measured(prepared):
    return measure(small(), prepared, ALL)


def test_accuracies_are_those_of_the_evaluation(measured, splits):
    data = prepare_data(splits, EvaluationConfig())
    model = small()
    expected = [*evaluate(model, data.validation), *evaluate(model, data.test)]
    assert [
        row for row in select(measured.measurements, TOP1) if row.split != "test_severities"
    ] == expected
    plain = measure(model, data, EvaluationConfig())
    assert plain.measurements == expected
    assert plain.files.keys() == {RIGHT} and not data.prepared


def test_which_images_are_right_adds_up_to_the_accuracies(measured):
    right = right_images.load(measured.files[RIGHT])
    counted = {name: int(images.sum()) for name, images in right.items()}
    assert counted == {
        row.setting: row.extra["correct"] for row in select(measured.measurements, TOP1, "test")
    }


def test_attacks_and_sizes_take_the_first_images(measured, splits):
    attacks = select(measured.measurements, "attacks")
    assert [(row.setting, row.extra["size"]) for row in attacks] == [("pgd", 0.1), ("ddn", 1.5)]
    clean = select(measured.measurements, TOP1, "test")[0].extra["correct"]
    assert all(row.count == 5 and row.extra["correct"] <= clean for row in attacks)
    sizes = select(measured.measurements, "epsilon_star")
    noises = [row.setting for row in sizes]
    assert noises == ["gaussian", "uniform", "speckle", "adversarial_1x1", "adversarial_3x3"]
    converged = [row.extra["converged"] for row in sizes]
    assert converged == [True] * 3 + [False] * 2  # one block is no convergence
    shown = perturbed.load(measured.files[PERTURBED])
    assert torch.equal(shown["clean"], splits.test.images[:3])
    severe = select(measured.measurements, TOP1, "test_severities")
    assert len(severe) == 76 and {row.count for row in severe} == {5}


def test_severities_stand_beside_the_clean_accuracy_of_the_same_images(measured, splits):
    row = select(measured.measurements, TOP1, "test_severities")[0]
    first = splits.test[:5]
    with torch.inference_mode():
        right = small()(first.images / 255).argmax(1) == first.labels
    assert (row.setting, row.extra["correct"], row.count) == ("clean", int(right.sum()), 5)
    assert mean_top1(measured.measurements, "test_severities") == pytest.approx(
        statistics.fmean(r.value for r in measured.measurements if r.severity and _is_severe(r))
    )


def _is_severe(row):
    return row.split == "test_severities"


def test_it_reports_what_is_measured_now_and_how_far_a_generator_is(prepared):
    lines = []
    measure(small(), prepared, ALL, steps=Steps(notify=lines.append))
    assert [line.split(",")[0] for line in lines] == [
        "accuracy on 12 validation and 16 test images", "five severities of each corruption",
        "attack PGD", "attack DDN", "noise generator ant_1x1", "noise generator ant_3x3",
        *(f"epsilon* under {noise} noise" for noise in (
            "gaussian", "uniform", "speckle", "adversarial_1x1", "adversarial_3x3")),
    ]  # fmt: skip


def test_the_same_model_is_measured_the_same_again(measured, prepared):
    again = measure(small(), prepared, ALL)
    assert again.measurements == measured.measurements
    assert again.files == measured.files


def test_no_image_travels_to_a_trial_that_is_not_used_there(prepared):
    sets = [prepared.validation, prepared.test, *prepared.prepared.values()]
    images = [prepared.training, *(each for one in sets for each in one.images.values())]
    found = [tensor for each in images for tensor in (each.images, each.labels)]
    for tensor in found:  # a view is pickled with all that it is a view of
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_examples_are_written_once(splits, tmp_path):
    folder = Folder(str(tmp_path))
    write_examples(folder, splits, EvaluationConfig())
    first = folder.read(EXAMPLES)
    write_examples(folder, splits, ALL)
    assert folder.read(EXAMPLES) == first
