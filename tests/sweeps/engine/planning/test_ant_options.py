"""What sweeps over adversarial noise training refuse, before anything starts."""

import pytest

from gon_core.config import ANT
from search_spaces.generator_depth import rows
from sweeps import (
    epsilon_sphere,
    experience_replay,
    generator_depth,
    generator_reset_interval,
    joint_search,
)
from sweeps.engine.cli.command_line import parse
from sweeps.engine.planning.plan import grid_problems, line_problems, make_plan, problems
from sweeps.engine.planning.spec import with_values
from sweeps.engine.planning.strength import line_spec

CHECKS = {
    epsilon_sphere: line_problems,
    generator_depth: grid_problems,
    generator_reset_interval: grid_problems,
    experience_replay: grid_problems,
    joint_search: problems,
}
BAD = [
    (epsilon_sphere, "--epsilons 0", "--epsilons: 0 is not above 0"),
    (epsilon_sphere, "--epsilons -1 2", "-1 is not above 0"),
    (epsilon_sphere, "--epsilons nan", "nan is not finite"),
    (epsilon_sphere, "--epsilons 7 7.0", "7.0 is given twice"),
    (epsilon_sphere, "--epsilon 9", "--epsilon: is what this sweep searches: give --epsilons"),
    (epsilon_sphere, "--sampler nsga2", "one of gp, tpe, random"),
    (epsilon_sphere, "--depth 0", "--depth: must be at least 1"),
    (epsilon_sphere, "--depth 9", "--depth: must be at most 8"),
    (epsilon_sphere, "--kernel-size 2", "--kernel-size: must be one of 1 or 3"),
    (epsilon_sphere, "--kernel-size 3 --depth 1", "needs a depth of at least 2"),
    (epsilon_sphere, "--reset-interval 0", "a number of epochs above 0, or never"),
    (epsilon_sphere, "--reset-interval -0.33", "a number of epochs above 0, or never"),
    (epsilon_sphere, "--reset-interval often", "a number of epochs above 0, or never"),
    (epsilon_sphere, "--clean-share 0.5 --past-share 0.5", "leave no images to the current"),
    (epsilon_sphere, "--clean-share 0.5 --current-share 0.4", "must be 1, got 0.5 + 0.4 + 0.2"),
    (epsilon_sphere, "--clean-share 0.003", "0.003 of a batch of 300 is not one image"),
    (epsilon_sphere, "--past-share 1.5", "--past-share: must be at most 1"),
    (epsilon_sphere, "--pretraining-steps -1", "--pretraining-steps: must be at least 0"),
    (epsilon_sphere, "--generator-learning-rate 0", "must be greater than 0"),
    (generator_depth, "--depths 0 3 9", "0 is not one of 1, 2, 3, 4, 5, 6, 7, 8; 9 is not"),
    (generator_depth, "--depths 1 --kernel-sizes 3", "depth 1 has no layer to be 3x3"),
    (generator_depth, "--kernel-sizes 2", "2 is not one of 1, 3"),
    (generator_depth, "--depth 2", "--depth: is what this sweep searches: give --depths"),
    (generator_depth, "--num-trials 2", "there is nothing to propose"),
    (generator_depth, "--sampler tpe", "--sampler: is without effect: this sweep runs its whole"),
    (generator_reset_interval, "--reset-intervals 0.3 sometimes", "not a number or never"),
    (generator_reset_interval, "--reset-intervals 0", "0 is not above 0"),
    (experience_replay, "--past-share 0.1", "--past-share: is what this sweep searches"),
    (joint_search, "--objectives 3", "--objectives: must be one of 1 or 2"),
    (joint_search, "--sampler nsga3", "did you mean nsga2?"),
    (joint_search, "--epsilon 7", "--epsilon: is what this sweep searches"),
    (joint_search, "--warm-start /no/such/sweep", "no sweep there"),
    (joint_search, "--num-trials 0", "--num-trials: must be at least 1"),
]


@pytest.mark.parametrize(("script", "arguments", "message"), BAD)
def test_bad_input_is_refused_with_its_rule(script, arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(script.Options, "", arguments.split(), CHECKS[script])
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed and "Traceback" not in printed


def test_all_problems_come_in_one_message(capsys):
    words = "--epsilons 0 nan --depth 9 --kernel-size 2 --reset-interval 0 --clean-share 2"
    with pytest.raises(SystemExit):
        parse(epsilon_sphere.Options, "", words.split(), line_problems)
    printed = capsys.readouterr().err
    for flag in ("--epsilons", "--depth", "--kernel-size", "--reset-interval", "--clean-share"):
        assert flag in printed
    assert printed.startswith("5 problems, nothing was started")


def test_every_option_reaches_the_method():
    options = epsilon_sphere.Options(
        scale="paper", depth=2, kernel_size=3, reset_interval="never", clean_share=0.4,
        past_share=0.1, generator_learning_rate=1e-5, pretraining_steps=7,
    )  # fmt: skip
    assert with_values(options.ant(), {"epsilon": 6.0}) == ANT(
        epsilon=6.0, depth=2, kernel_size=3, reset_interval="never", clean_share=0.4,
        current_share=0.5, past_share=0.1, generator_learning_rate=1e-5, pretraining_steps=7,
    )  # fmt: skip


def test_the_paper_scale_is_the_paper_and_says_no_cuts():
    options = epsilon_sphere.Options(scale="paper")
    assert options.ant() == ANT(epsilon=10.0)
    assert options.deviations() == ()
    assert epsilon_sphere.Options(scale="demo").deviations()


def plan(script, **given):
    options = script.Options(scale="demo", seeds=1, **given)
    spec = getattr(script, "spec", line_spec)
    return make_plan(spec(options), options)


def test_without_replay_the_current_generator_takes_the_share():
    shares = {
        (config.method.past_share, config.method.current_share)
        for config in plan(experience_replay).known_trials
    }
    assert shares == {(0.0, 0.5), (0.2, 0.3)}


def test_the_depth_sweep_runs_every_row_of_table_11():
    methods = [config.method for config in plan(generator_depth).known_trials]
    assert [(method.depth, method.kernel_size) for method in methods] == list(rows())
    assert rows() == ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 3), (3, 3), (4, 3), (5, 3))


def test_never_is_a_reset_interval_like_any_other():
    options = generator_reset_interval.Options(scale="demo", reset_intervals=(0.5, "never"))
    assert options.reset_intervals == (0.5, "never")
    made = make_plan(generator_reset_interval.spec(options), options)
    assert [config.method.reset_interval for config in made.known_trials[::3]] == [0.5, "never"]


def test_what_is_not_searched_names_the_sweep():
    assert plan(epsilon_sphere).name != plan(epsilon_sphere, depth=2).name
    assert plan(epsilon_sphere, depth=2).config.fixed["depth"] == 2
    assert "epsilon" not in plan(epsilon_sphere).config.fixed


def test_the_current_generator_gets_what_the_other_shares_leave():
    method = ANT(epsilon=10)
    assert with_values(method, {"past_share": 0.0}).current_share == 0.5
    assert with_values(method, {"past_share": 0.1, "depth": 2}).current_share == 0.4
    assert with_values(method, {"depth": 2}).current_share == method.current_share
    with pytest.raises(ValueError, match="must be 1"):
        with_values(method, {"past_share": 0.2, "current_share": 0.1})
    with pytest.raises(ValueError, match="current_share"):
        with_values(method, {"past_share": 0.5})
