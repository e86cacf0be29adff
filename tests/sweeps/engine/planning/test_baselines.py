"""Methods that are trained beside what a sweep searches: every method, in every sweep."""

import pytest

import sweeps.epsilon_sphere as epsilon_script
import sweeps.experience_replay as replay_script
import sweeps.generator_depth as depth_script
import sweeps.generator_reset_interval as reset_script
import sweeps.joint_search as joint_script
import sweeps.sigma_line_search as sigma_script
from gon_core.benchmarks.mnist import MNIST
from sweeps.engine.planning.baselines import baseline_problem, with_baselines
from sweeps.engine.planning.methods import at_scale
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.search.ledger import Ledger

SCRIPTS = {
    "sigma": (sigma_script, line_spec),
    "epsilon": (epsilon_script, line_spec),
    "depth": (depth_script, depth_script.spec),
    "reset": (reset_script, reset_script.spec),
    "replay": (replay_script, replay_script.spec),
    "joint": (joint_script, joint_script.spec),
}
# What such a sweep searches already: each is one of its own points, or differs in what it searches.
OWN_POINTS = {
    "depth": {"ant_3x3"},
    "replay": {"ant_1x1_without_replay"},
    "joint": {"ant_3x3", "ant_1x1_without_replay"},
}


def make(script, *methods, **changes):
    module, spec = SCRIPTS[script]
    options = module.Options(method=methods or None, scale="demo", **changes)
    assert options.problems() == {}
    return make_plan(spec(options), options)


@pytest.mark.parametrize("variant", MNIST.methods)
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_method_can_be_given_to_every_sweep(script, variant):
    own = SCRIPTS[script][0].Options.methods[0]
    if variant in OWN_POINTS.get(script, ()):
        assert SCRIPTS[script][0].Options(method=(variant,)).problems().keys() == {"method"}
        return
    plan = make(script, variant)
    is_searched = variant in SCRIPTS[script][0].Options.methods
    assert plan.spec.baselines.keys() == (set() if is_searched else {variant})
    beside = make(script, own, variant) if variant != own else plan
    trained = [t for t in beside.known_trials if t.method == at_scale(variant, "demo", MNIST)]
    if variant != own:
        assert [trial.seed for trial in trained] == list(beside.config.seeds)
        assert {trial.training for trial in trained} == {beside.config.training}
        assert {trial.start for trial in trained} == {beside.config.start}
        assert baseline_problem(beside.spec) == ""


def test_a_baseline_is_a_point_of_its_name_even_where_it_has_the_searched_field():
    plan = make("epsilon", "ant_1x1", "pgd", "ant_3x3")
    spec = plan.spec
    assert "epsilon" in type(MNIST.methods["pgd"]).model_fields
    for point in (("pgd",), ("ant_3x3",), (5.2,)):
        assert spec.point(plan.trial(point, 0)) == point
    assert spec.values(("pgd",)) == {"method": "pgd"}


def test_a_method_that_is_a_point_of_the_search_is_no_baseline():
    methods = ["ant_1x1", "ant_3x3", "pgd"]
    options = epsilon_script.Options(scale="demo", kernel_size="3", method=methods)
    spec = with_baselines(line_spec(options), options, "demo")
    assert "itself searches what is trained as ant_3x3" in baseline_problem(spec)


def test_baselines_are_part_of_the_config_and_the_name_stays():
    with_one, without = make("sigma", "vanilla"), make("sigma")
    assert with_one.name == without.name and with_one.config != without.config
    assert "baselines" not in without.config.model_dump()
    assert with_one.number_of_trials == without.number_of_trials + len(without.config.seeds)
    pgd = make("sigma", "gnt", "pgd")
    assert any(cut.startswith("pgd: epsilon 0.2 (not 0.3)") for cut in pgd.deviations)


def test_baselines_run_after_the_grid_and_are_never_searched_from():
    plan = make("sigma", "vanilla", seeds=1)
    search = plan.search({})
    started = [search.next_trial()[:2] for _ in range(len(plan.config.grid) + 1)]
    assert started[-1] == (("vanilla",), 0)
    assert search.next_trial() is None and not search.is_exhausted
    for point, seed in started:
        best = point == (0.5,)
        search.ledger.record(point, seed, "converged", (99.0,) if best else (50.0,))
    search.ledger.record(("vanilla",), 0, "converged", (100.0,))
    proposed, *_ = search.next_trial()  # between the neighbours of the best, not near vanilla
    assert ("vanilla",) not in search.ledger.entries
    assert 0.2 <= proposed[0] <= 0.8


def test_a_resumed_sweep_does_not_propose_its_baselines_again():
    ledger = Ledger([(0.1,)], [0, 1], lambda *_: None, [("vanilla",)])
    ledger.propose(("vanilla",))
    assert list(ledger.entries) == [(0.1,)]
    ledger.record(("vanilla",), 1, "converged", (50.0,))
    waiting = [ledger.next_trial()[:2] for _ in range(3)]
    assert waiting == [((0.1,), 0), (("vanilla",), 0), ((0.1,), 1)]
    assert ledger.next_trial() is None
