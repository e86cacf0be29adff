"""Which methods a sweep can search, and how they are at each scale and strength."""

import pytest

import sweeps.epsilon_sphere as epsilon_script
import sweeps.experience_replay as replay_script
import sweeps.generator_depth as depth_script
import sweeps.method_comparison as comparison_script
import sweeps.sigma_line_search as sigma_script
from gon_core.benchmarks.mnist import MNIST
from search_spaces.strength import strength
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.grids import line
from sweeps.engine.planning.methods import (
    at_scale,
    changes,
    deviations,
    published_row,
    strength_problems,
)
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.spec import with_values
from sweeps.engine.planning.strength import line_spec

SCRIPTS = {
    "sigma": sigma_script, "epsilon": epsilon_script, "depth": depth_script,
    "replay": replay_script, "comparison": comparison_script,
}  # fmt: skip


def strong(variant, scale, **strength):
    return with_values(at_scale(variant, scale, MNIST), strength)


@pytest.mark.parametrize("variant", MNIST.methods)
def test_a_variant_has_its_name_at_every_scale(variant):
    assert at_scale(variant, "paper", MNIST) == MNIST.methods[variant]
    assert at_scale(variant, "demo", MNIST).variant == variant


@pytest.mark.parametrize("variant", MNIST.strengths)
@pytest.mark.parametrize("script", ["sigma", "epsilon"])
def test_every_method_with_noise_can_be_searched_along_its_strength(variant, script):
    options = SCRIPTS[script].Options(method=[variant], scale="demo")
    assert options.problems() == {}
    spec = line_spec(options)
    assert spec.space == (strength(MNIST, variant),)
    plan = make_plan(spec, options)
    assert plan.config.grid == line(MNIST.strengths[variant].coarse_grid)
    for trial, point in zip(plan.known_trials[::3], plan.config.grid, strict=True):
        assert trial.method.variant == variant and spec.point(trial) == point


def test_several_sigmas_keep_their_ratios():
    assert strong("speckle", "paper", largest_sigma=1.2).sigmas == (0.3, 0.4, 0.7, 0.9, 1.2)
    assert strong("gnt_mult", "paper", largest_sigma=0.38) == MNIST.methods["gnt_mult"]


def test_an_illegal_strength_is_named():
    legal, illegal = (
        sigma_script.Options(method=["pgd"], scale="demo", sigmas=sigmas)
        for sigmas in ((0.1, 0.3), (0.1, 1.5))
    )
    assert strength_problems(legal, "sigmas") == {}
    assert "1.5" in strength_problems(illegal, "sigmas")["sigmas"]


@pytest.mark.parametrize(("dataset", "sigma", "epsilon"), [("mnist", 2, 18), ("cifar10", 1, 20)])
def test_the_largest_strength_is_the_benchmarks(dataset, sigma, epsilon):
    where = {"dataset": dataset, "data_dir": "." if dataset == "cifar10" else None, "scale": "demo"}
    for script, name, most in (
        (sigma_script, "sigmas", sigma),
        (epsilon_script, "epsilons", epsilon),
    ):
        assert strength_problems(script.Options(**where, **{name: (most,)}), name) == {}
        found = strength_problems(script.Options(**where, **{name: (most + 0.5,)}), name)
        assert f"must be at most {most} on " in found[name]
    fixed = depth_script.Options(**where, epsilon=epsilon + 1)
    assert f"must be at most {epsilon} on " in fixed.problems()["epsilon"]


def test_what_the_demo_cuts_of_a_method_is_said():
    assert deviations(MNIST.methods, "paper", MNIST) == ()
    (found,) = deviations(["pgd"], "demo", MNIST)
    assert found.startswith("pgd: ") and "steps 3 (not 40)" in found


@pytest.mark.parametrize(
    ("method", "row"),
    [
        (MNIST.methods["vanilla"], "vanilla_madry"),
        (MNIST.methods["gnt"], "gnt_sigma_0.5"),
        (strong("gnt", "demo", sigma=0.5), "gnt_sigma_0.5"),
        (strong("gnt", "demo", sigma=0.6), None),
        (MNIST.methods["pgd"], "pgd_madry"),
        (at_scale("pgd", "demo", MNIST), None),  # with a smaller epsilon
        (at_scale("ddn", "demo", MNIST), "ddn"),
        (at_scale("ant_1x1", "demo", MNIST), "ant_1x1"),
        (at_scale("ant_1x1", "demo", MNIST, depth=2), None),
        (strong("ant_1x1", "paper", epsilon=9.9), None),
        (MNIST.methods["ant_3x3"], None),
        (MNIST.methods["ant_1x1_without_replay"], None),
        (MNIST.methods["augmix"], None),
    ],
)
def test_a_method_stands_beside_the_papers_row_at_its_published_strength_alone(method, row):
    assert published_row(method, MNIST) == row


def test_what_a_trial_has_smaller_is_said():
    assert changes("ant_1x1", at_scale("ant_1x1", "demo", MNIST), MNIST) == [
        "pretraining steps 10 (not 1000)"
    ]
    assert changes("gnt", MNIST.methods["gnt"], MNIST) == []


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("sigma", "--method gnt2", "gnt2 is unknown, did you mean gnt?"),
        ("sigma", "--method pgd --sigmas 0.1 2", "--sigmas: for pgd, 2:"),
        ("sigma", "--method gnt gnt", "gnt is given twice"),
        ("sigma", "--evaluate attack", "did you mean attacks?"),
        ("sigma", "--evaluate all none", "all and none stand alone"),
        ("sigma", "--evaluation-images 0", "--evaluation-images: must be at least 1"),
        ("epsilon", "--method pgd --depth 3", "--depth: is of adversarial noise training"),
        ("depth", "--method pgd vanila", "vanila is unknown, did you mean vanilla?"),
        ("depth", "--method ant_3x3", "kernel_size is what this sweep searches"),
        ("replay", "--method ant_1x1_without_replay", "past_share is what this sweep searches"),
        ("replay", "--method ant_3x3 --kernel-size 1", "--kernel-size: is decided by --method"),
        ("comparison", "--method vanilla none", "none is unknown"),
        ("comparison", "--num-trials 3", "--num-trials: must be 0"),
    ],
)
def test_a_method_that_cannot_be_asked_of_is_refused(script, arguments, says, capsys):
    with pytest.raises(SystemExit) as refused:
        module = SCRIPTS[script]
        parse(module.Options, "", arguments.split(), check=_check(module))
    assert refused.value.code == 2
    assert says in capsys.readouterr().err


def _check(module):
    from sweeps.engine.planning import plan

    return plan.grid_problems if module is comparison_script else plan.line_problems


def test_an_ant_sweep_takes_the_other_variants():
    options = depth_script.Options(method=["ant_1x1_without_replay"], scale="demo")
    assert options.problems() == {}
    method = options.ant()
    assert method.past_share == 0 and method.current_share == 0.5
    wide = replay_script.Options(method=["ant_3x3"], scale="demo")
    assert wide.problems() == {} and wide.ant().kernel_size == 3


def test_measures_are_in_the_trials_name_only_where_they_are_asked_for():
    plain = sigma_script.Options(sigmas=(0.5,), scale="demo")
    asked = sigma_script.Options(sigmas=(0.5,), scale="demo", evaluate=["severities", "attacks"])
    plans = [make_plan(line_spec(o, o.sigmas), o) for o in (plain, asked)]
    assert plans[0].config.evaluation.model_dump(mode="json") == {}
    assert plans[1].config.evaluation.measures == ("severities", "attacks")
    assert plans[1].config.evaluation.images == 300
    assert any("on 300 of the test images" in cut for cut in plans[1].deviations)
    whole = sigma_script.Options(scale="paper", sigmas=(0.5,))
    plan = make_plan(line_spec(whole, whole.sigmas), whole)
    assert len(plan.config.evaluation.measures) == 3 and plan.deviations == []
