"""What a sweep on ImageNet-100 asks for: the paper's epochs by method, batch and decays."""

import pytest
from PIL import Image

from gon_core.benchmarks import image_folder
from sweeps import method_comparison
from sweeps.engine.planning.growth import conflicts
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.runs.sweep import describe_sweep
from tests.class_folders import photo


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet100")
    for label in range(100):
        for part in ("train", "val"):
            (root / part / f"n{label:08}").mkdir(parents=True)
            for index in range(2):
                file = root / part / f"n{label:08}" / f"{index}.png"
                Image.fromarray(photo(label + 100 * index, 8, 8)).save(file)
    yield root
    image_folder.listing.cache_clear()


def planned(images, **given):
    options = method_comparison.Options(
        dataset="imagenet100", data_dir=images, scale="paper", evaluate=(), seeds=1,
        method=("vanilla", "gnt", "speckle", "ant_1x1"), **given,
    )  # fmt: skip
    return make_plan(method_comparison.spec(options), options), options


def test_each_method_has_the_epochs_of_the_paper(images):
    plan, _ = planned(images)
    trials = {trial.method.variant: trial.training for trial in plan.known_trials}
    epochs = {variant: training.max_epochs for variant, training in trials.items()}
    assert epochs == {"vanilla": 90, "gnt": 90, "speckle": 10, "ant_1x1": 80}
    assert all((t.batch_size, t.decays, t.patience) == (70, 1, 3) for t in trials.values())
    assert plan.config.start.model == "preactresnet18"
    assert plan.deviations == []
    plan, _ = planned(images, max_epochs=3)
    assert {trial.training.max_epochs for trial in plan.known_trials} == {3}


def test_batch_and_decays_make_another_sweep_and_are_said(images):
    whole, options = planned(images)
    other, _ = planned(images, batch_size=100, decays=2)
    assert {t.training.batch_size for t in other.known_trials} == {100}
    assert {t.training.decays for t in other.known_trials} == {2}
    assert whole.name != other.name
    assert other.deviations == [
        "batch size 100 (the paper: 70)", "decays 2 (the paper: 1)",
    ]  # fmt: skip
    assert other.config.start == whole.config.start, "the vanilla model is the same"
    recorded = describe_sweep(whole, options, "d")
    assert conflicts(other, recorded, "d") == [
        "--batch-size: recorded 70, now 100", "--decays: recorded the default, now 2",
    ]  # fmt: skip
