"""Sweeps whose points are no fields of a method: of the training, of the start, of the network."""

import pytest
from safetensors.torch import save_file

from gon_core import architectures
from gon_core.config import GNT
from gon_core.models import weights
from gon_core.training import checkpoints
from sweeps import backbones, training_recipe
from sweeps.engine.planning import given_weights
from sweeps.engine.planning.growth import grown
from sweeps.engine.planning.plan import make_plan, problems
from sweeps.engine.runs.sweep import describe_sweep

TRAINED, RANDOM = "trained", "random"


def planned(script, **given):
    options = script.Options(seeds=1, **given)
    assert options.problems() == {}
    return make_plan(script.spec(options), options), options


def test_one_factor_at_a_time_around_the_recipe():
    plan, _ = planned(training_recipe, scale="paper", batch_sizes=(50, 100), decay_counts=(0, 2))
    usual = plan.config.training
    assert plan.config.grid == (
        (300, 1, TRAINED), (50, 1, TRAINED), (100, 1, TRAINED), (300, 0, TRAINED),
        (300, 2, TRAINED), (300, 1, RANDOM),
    )  # fmt: skip
    *tuned, scratch = plan.known_trials
    for trial, (batch, decays, _) in zip(tuned, plan.config.grid, strict=False):
        changes = {"batch_size": batch, "decays": decays}
        assert trial.training == usual.model_copy(update=changes)
        assert trial.start == plan.config.start
    assert scratch.start is None and scratch.training == plan.config.start.training
    assert {trial.method for trial in plan.known_trials} == {GNT(sigma=0.5)}


@pytest.mark.parametrize("script", [training_recipe, backbones])
@pytest.mark.parametrize("given", [{}, {"dataset": "cifar10", "data_dir": "."}])
def test_a_trial_is_found_again_at_its_point(script, given):
    plan, options = planned(script, scale="demo", **given)
    described = describe_sweep(plan, options, "d")
    for point, trial in zip(plan.config.grid, plan.known_trials, strict=True):
        assert described.point_of(trial) == plan.spec.point(trial) == point
    assert len({trial.trial_id for trial in plan.known_trials}) == len(plan.config.grid)


def test_a_schedule_has_no_decays_to_search():
    given = {"dataset": "cifar10", "data_dir": ".", "scale": "demo"}
    plan, _ = planned(training_recipe, **given)
    assert [parameter.name for parameter in plan.spec.space] == ["batch_size", "initial_weights"]
    options = training_recipe.Options(**given, decay_counts=(1,), batch_size=3)
    assert options.problems().keys() == {"decay_counts", "batch_size"}


def test_from_scratch_takes_the_recipes_batch_and_the_epochs_of_a_vanilla_training():
    plan, _ = planned(training_recipe, scale="demo", start_epochs=7, max_epochs=5)
    *_, scratch = plan.known_trials
    assert scratch.training.max_epochs == 7 and scratch.training.learning_rate == 0.03
    assert {trial.training.max_epochs for trial in plan.known_trials[:-1]} == {5}


def test_every_network_has_every_method_and_a_start_of_its_own():
    plan, _ = planned(backbones, scale="demo")
    assert plan.config.grid == tuple(
        (model, name) for model in ("madry_cnn", "wong_small") for name in ("vanilla", "ant_1x1")
    )
    assert {t.start.model for t in plan.known_trials} == {s.model for s in plan.starts}
    assert all(trial.model == trial.start.model for trial in plan.known_trials)
    assert "model" not in " ".join(plan.deviations)


def test_weights_are_given_for_every_network(tmp_path):
    files = {}
    for name in ("madry_cnn", "wong_small"):
        files[name] = tmp_path / f"{name}.safetensors"
        files[name].write_bytes(checkpoints.dump_model(architectures.make(name)))
    pairs = tuple(f"{name}={file}" for name, file in files.items())
    plan, options = planned(backbones, scale="demo", weights_of=pairs)
    assert problems(options) == {}
    for start in plan.starts:
        assert start.weights == weights.digest(weights.read_state(files[start.model]))
    exchanged = (f"madry_cnn={files['wong_small']}", f"wong_small={files['madry_cnn']}")
    said = problems(backbones.Options(scale="demo", weights_of=exchanged))["weights_of"]
    assert "not the weights of a madry_cnn" in said and "not the weights of a wong_small" in said


@pytest.mark.parametrize("is_named", [True, False])
def test_a_prefix_that_is_left_out_is_said_of_the_file_once(is_named, tmp_path, caplog):
    """As of AugMix's checkpoints; not that these are the weights of something else."""
    file = tmp_path / "augmix.safetensors"
    state = architectures.make("madry_cnn").state_dict()
    save_file({f"module.{name}": tensor.contiguous() for name, tensor in state.items()}, file)
    options = training_recipe.Options(weights=file, model="madry_cnn" if is_named else None)
    found = given_weights.given(options)
    assert [*found] == ["madry_cnn"] and found["madry_cnn"].deviations == ()
    said = f"{file}: 'module.' before every name is left out"
    assert [record.getMessage() for record in caplog.records] == [said]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights_of": ("madry_cnn",)}, "madry_cnn: must be NAME=FILE"),
        ({"weights_of": ("madry_cnn=x",)}, "wong_small: has none"),
        ({"weights_of": ("resnet18=x",)}, "resnet18: is none of madry_cnn, wong_small"),
        ({"weights_of": ("madry_cnn=x", "madry_cnn=y")}, "madry_cnn: given twice"),
        ({"models": ("resnet50",)}, "given: resnet50"),
        ({"model": "wong_small"}, "give --models"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    assert said in "; ".join(backbones.Options(scale="demo", **given).problems().values())


def test_a_comparison_of_networks_grows_by_a_method():
    first, options = planned(backbones, scale="demo", models=("madry_cnn",))
    more, _ = planned(backbones, scale="demo", models=("madry_cnn",), method=("gnt",))
    assert first.name == more.name
    whole = grown(more, describe_sweep(first, options, "d"), options)
    assert [name for _, name in whole.config.grid] == ["vanilla", "ant_1x1", "gnt"]
    assert len(whole.known_trials) == 3
