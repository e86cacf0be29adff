"""What a sweep on ImageNet-100 asks for: the paper's epochs by method, batch and decays."""

import pytest
from PIL import Image

from gon_core.benchmarks import image_folder
from sweeps import method_comparison
from sweeps.engine.planning.growth import conflicts, grown
from sweeps.engine.planning.plan import make_plan, problems
from sweeps.engine.planning.recipe import start_problems
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
    image_folder.stylized.cache_clear()


def planned(images, **given):
    options = method_comparison.Options(
        dataset="imagenet100", data_dir=images, evaluate=(), seeds=1,
        **{"method": ("vanilla", "gnt", "speckle", "ant_1x1"), "scale": "paper"} | given,
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


def test_stylised_images_are_of_the_methods_that_use_them_alone(images):
    plain, _ = planned(images)
    names = ("vanilla", "ant_1x1", "ant_1x1_sin", "ant_3x3_sin", "sin_in")
    assert "method" in planned(images, method=names)[1].problems()
    plan, options = planned(images, method=names, stylized_dir=images, precision="bf16")
    assert options.problems() == {} and plan.config.data.stylized
    assert "stylized_dir" in planned(images, stylized_dir=images)[1].problems()
    trials = {trial.method.variant: trial for trial in plan.known_trials}
    assert [*trials] == [*names]
    for variant, trial in trials.items():
        assert (trial.data.stylized is not None) == variant.endswith(("_sin", "sin_in"))
    same, _ = planned(images, method=names, stylized_dir=images)
    ids = {trial.method.variant: trial.trial_id for trial in same.known_trials}
    assert {trial.trial_id for trial in plain.known_trials} >= {ids["vanilla"], ids["ant_1x1"]}
    recipe = trials["sin_in"].training
    assert (recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (256, 0.1, 1e-4)
    assert (recipe.decay_epochs, recipe.max_epochs, recipe.precision) == ((15, 30), 45, "bf16")
    assert trials["ant_1x1_sin"].training.max_epochs == 80
    assert [row["model"] for row in plan.spec.published["rows"]] == [
        "standard-imagenet100", "ant-imagenet100",
    ]  # fmt: skip
    everything = planned(images, method=None)[1]
    assert not {"sin_in", "ant_1x1_sin"} & set(everything.trained)
    with_folder = planned(images, method=None, stylized_dir=images)[1]
    assert set(with_folder.trained) - set(everything.trained) == set(names[2:])


def test_a_step_of_universal_adversarial_training_has_no_default(images):
    names = ("vanilla", "uat")
    rule = "not given in the paper, nor found in any code: uat has no default for it"
    assert rule in planned(images, method=names)[1].problems()["uat_step_size"]
    assert (
        "is of --method uat" in planned(images, uat_step_size=0.01)[1].problems()["uat_step_size"]
    )
    nowhere = method_comparison.Options(dataset="imagenet", data_dir=images / "x", method=names)
    assert rule in nowhere.problems()["uat_step_size"], "said together with the missing folder"
    plan, options = planned(images, method=names, uat_step_size=0.01)
    assert options.problems() == {} and plan.known_trials[1].method.step_size == 0.01
    assert [text.partition(" (")[0] for text in plan.deviations] == [
        "uat: epochs and batch of the paper's fine-tuning"
    ]
    assert "uat" not in planned(images, method=None)[1].trained
    assert "uat" in planned(images, method=None, uat_step_size=0.01)[1].trained


def test_what_is_not_known_of_fords_training_has_no_default(images):
    def found(**given):
        return problems(planned(images, **given)[1])

    assert "have no default" in found(method=("ford",))["ford_recipe"]
    assert "is of --method ford" in found(ford_recipe=(0.1, 256, 90))["ford_recipe"]
    at_demo = found(method=("ford",), ford_recipe=(0.1, 256, 90), scale="demo")
    assert "at --scale paper" in at_demo["ford_recipe"]
    given = {"method": ("ford", "gnt"), "ford_recipe": (0.2, 64, 8)}
    assert found(**given) == {}
    plan, _ = planned(images, **given)
    ford, gnt = plan.known_trials
    assert (ford.start, gnt.start) == (None, plan.config.start)
    assert (ford.training.learning_rate, ford.training.batch_size) == (0.2, 64)
    assert (ford.training.decay_epochs, ford.training.max_epochs) == ((2, 4, 6), 8)
    assert [text[:12] for text in plan.deviations] == ["ford: SGD wi"]


def test_methods_that_start_from_random_weights_need_no_start(images):
    names, weights = ("free", "pgd_targeted"), images / "weights.safetensors"
    plan, _ = planned(images, method=names)
    assert plan.starts == [] and {trial.start for trial in plan.known_trials} == {None}
    assert plan.models == ["preactresnet18"]
    both, _ = planned(images, method=(*names, "gnt"))
    assert both.starts == [both.config.start]
    for option, value in (("weights", weights), ("start_epochs", 2)):
        options = planned(images, method=names)[1].model_copy(update={option: value})
        assert "from random weights" in start_problems(options)[option]


def test_a_sweep_with_a_random_start_grows_by_a_method_without(images):
    first, options = planned(images, method=("free",), name="own")
    recorded = describe_sweep(first, options, "d")
    plan, options = planned(images, method=("gnt",), name="own")
    assert conflicts(plan, recorded, "d") == []
    both = grown(plan, recorded, options)
    assert [(t.method.variant, t.start is None) for t in both.known_trials] == [
        ("free", True), ("gnt", False),
    ]  # fmt: skip


def test_a_sweep_of_plain_methods_grows_by_one_with_a_recipe(images):
    given = {"stylized_dir": images, "name": "own"}
    first, options = planned(images, method=("sin_in",), **given)
    recorded = describe_sweep(first, options, "d")
    plan, options = planned(images, method=("ant_1x1_sin",), **given)
    assert conflicts(plan, recorded, "d") == []
    both = grown(plan, recorded, options)
    assert {t.training.max_epochs for t in both.known_trials} == {45, 80}
    other, _ = planned(images, method=("gnt",), name="own")
    assert conflicts(other, recorded, "d")[0].startswith("--stylized-dir: recorded ")


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
