import pytest

import sweeps.sigma_line_search as script
from gon_core.models import MadryCNN
from sweeps.engine.cli.grids import line
from sweeps.engine.planning.plan import Resources, make_plan
from sweeps.engine.planning.recipe import batch_norm_problem
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.planning.trial_cost import (
    Speed,
    measure_speed,
    trial_seconds,
)
from sweeps.engine.resources import resources
from sweeps.engine.system import machine
from tests.spaces import PAPER_GRID


def plan_of(**options):
    parsed = script.Options(**options)
    return make_plan(line_spec(parsed, parsed.sigmas), parsed)


def test_the_demo_says_what_it_cut():
    cuts = " ".join(plan_of(scale="demo").deviations)
    for word in ("10,000 of 55,000 training", "epochs", "validation images", "test images"):
        assert word in cuts


def test_the_paper_scale_cuts_nothing_and_takes_the_whole_grid():
    plan = plan_of(scale="paper")
    assert plan.deviations == []
    assert plan.config.grid == line(PAPER_GRID)
    assert plan.config.training.batch_size == 300 and plan.config.training.learning_rate == 1e-3


def test_without_a_gpu_the_default_is_one_single_threaded_demo_trial_per_core(monkeypatch):
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)
    monkeypatch.setattr(machine, "cpu_count", lambda: 6)
    plan = plan_of()
    assert plan.config.scale == "demo"
    assert plan.resources == Resources(cpus=1, gpus=0.0, max_concurrent=6)
    assert plan.resources.device == "cpu"


@pytest.mark.parametrize(
    ("options", "at_once"),
    [
        ({}, 2),
        ({"gpus_per_trial": 0.5}, 4),
        ({"gpus_per_trial": 0.1}, 8),
        ({"max_concurrent": 1}, 1),
    ],
)
def test_gpus_are_used_where_there_are_any_and_can_be_shared(options, at_once, monkeypatch):
    monkeypatch.setattr(machine, "gpu_count", lambda: 2)
    monkeypatch.setattr(machine, "cpu_count", lambda: 8)
    plan = plan_of(**options)
    assert plan.config.scale == "paper" and plan.resources.device == "cuda"
    assert plan.resources.max_concurrent == at_once


@pytest.mark.parametrize(
    ("options", "at_once"),
    [
        ({"seeds": 4}, 4),
        ({"seeds": 1000, "sigmas": (0.1, 0.2, 0.3)}, 1000),
        ({"seeds": 1000, "sigmas": (0.1, 0.2, 0.3), "max_concurrent": 3000}, 3000),
        ({"seeds": 1000, "max_concurrent": 2}, 2),
    ],
)
def test_of_a_cluster_that_grows_so_many_are_requested_at_once(options, at_once, monkeypatch):
    there = resources.Capacity((resources.Node(4, 1),), grows=True)
    monkeypatch.setattr(resources, "capacity", lambda options: there)
    given = {"sigmas": (0.5,), "num_trials": 0, "gpus_per_trial": 1} | options
    assert plan_of(**given).resources.max_concurrent == at_once
    made = resources.make_resources(script.Options(**given), resources.JOINT_AT_ONCE)
    assert made.max_concurrent == options.get("max_concurrent", resources.JOINT_AT_ONCE)


def test_the_name_is_made_of_what_cannot_be_added_later():
    name = plan_of(scale="demo").name
    assert plan_of(scale="demo", max_concurrent=1, max_failures=0).name == name
    grown = plan_of(scale="demo", seeds=4, seed=1, num_trials=5, sigmas=(0.1,), budget_hours=3.0)
    assert grown.name == name and grown.config.seeds == (1, 2, 3, 4)
    assert plan_of(scale="demo", max_epochs=4).name != name
    assert plan_of(scale="demo", sampler="tpe").name != name
    assert plan_of(scale="demo", name="mine").name == "mine"


def test_processes_share_the_training_and_change_nothing_else_of_the_sweep(monkeypatch):
    monkeypatch.setattr(machine, "cpu_count", lambda: 4)
    one = plan_of(scale="demo", max_concurrent=1)
    two = plan_of(scale="demo", max_concurrent=1, processes_per_trial=2)
    assert two.config == one.config and two.name == one.name
    training = 10_000 * one.config.training.max_epochs * 1e-3
    speeds = {one.config.start.model: Speed(train=1e-3, evaluate=1e-4)}
    assert trial_seconds(one, speeds) - trial_seconds(two, speeds) == pytest.approx(training / 2)


def test_statistics_of_each_process_are_another_training(monkeypatch):
    monkeypatch.setattr(machine, "cpu_count", lambda: 6)
    whole = plan_of(processes_per_trial=2)
    parts = [plan_of(processes_per_trial=count, batch_norm="local") for count in (2, 3)]
    assert [plan.config.training.batch_norm_parts for plan in (whole, *parts)] == [1, 2, 3]
    assert len({plan.trial((0.5,), 0).trial_id for plan in (whole, *parts)}) == 3
    assert {plan.config.start for plan in parts} == {whole.config.start}, "one process trains it"
    assert len({plan.name for plan in (whole, *parts)}) == 3


@pytest.mark.parametrize(
    ("model", "has_none"), [("madry_cnn", True), ("torchvision:resnet18", False)]
)
def test_statistics_of_each_process_are_of_models_that_have_some(model, has_none):
    options = script.Options(processes_per_trial=2, batch_norm="local", model=model)
    rule = "madry_cnn has no batch normalisation, so that local would change nothing"
    assert batch_norm_problem(options) == (rule if has_none else "")
    assert batch_norm_problem(script.Options(model=model)) == ""


def test_a_compiled_training_is_another_trial():
    plain, compiled = plan_of(), plan_of(compile=True)
    assert compiled.config.training.compiled and compiled.config.start.training.compiled
    assert plain.trial((0.5,), 0).trial_id != compiled.trial((0.5,), 0).trial_id
    assert "compiled" not in plain.config.model_dump_json()


def test_the_expected_time_follows_from_the_work():
    plan = plan_of(scale="demo", max_concurrent=1)
    speed = Speed(train=1e-3, evaluate=1e-4)
    epochs = plan.config.training.max_epochs
    one = trial_seconds(plan, {plan.config.start.model: speed})
    assert one == pytest.approx(10_000 * epochs * 1e-3 + (16 * 1500 + 500 * epochs) * 1e-4)


@pytest.mark.system
def test_the_speed_is_measured():
    plan = plan_of(scale="demo")
    speed = measure_speed(MadryCNN(), plan.config.data, plan.config.training, Resources(1, 0.0, 1))
    assert 0 < speed.evaluate < speed.train < 1


def test_trials_of_a_plan_differ_in_nothing_but_value_and_seed():
    plan = plan_of(scale="demo", sigmas=(0.0, 0.5), seeds=2)
    ids = {trial.trial_id for trial in plan.known_trials}
    assert len(ids) == 4 and plan.number_of_trials == 4 + 2 * plan.config.proposals
    starts = {trial.start for trial in plan.known_trials}
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000\n", None), ("250000 100000\n", 2), ("50000 100000\n", 1), ("garbage", None)],
)
def test_a_containers_limit_counts(content, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(content)
    assert machine.container_cores(tmp_path / "cpu.max") == cores
    assert machine.container_cores(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("flags", "expected"), [("flags: avx2 avx512_bf16", True), ("flags: avx2", False), ("", True)]
)
def test_bf16_instructions_are_known(flags, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(flags)
    assert machine.has_bf16(tmp_path / "cpuinfo") is expected
    assert machine.has_bf16(tmp_path / "absent")
