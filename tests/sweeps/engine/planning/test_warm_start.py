"""What a search takes over from earlier sweeps, and what it passes over."""

import pytest

from gon_core.measurement import accuracy_row
from sweeps import epsilon_sphere, joint_search
from sweeps.engine.planning import warm_start
from sweeps.engine.planning.plan import make_plan
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.records import SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from tests.sweeps.engine.descriptions import describe

RATE = 1e-4


def joint_plan(folder, **given):
    options = joint_search.Options(scale="demo", warm_start=(folder,), **given)
    return make_plan(joint_search.spec(options), options)


@pytest.fixture
def earlier(tmp_path):
    """A line search over epsilon: two seeds at 7 and 10, and one value out of the joint range."""

    def make(**given):
        options = epsilon_sphere.Options(
            scale="demo", seeds=2, generator_learning_rate=RATE, num_trials=0, **given
        )
        plan = make_plan(line_spec(options, (7.0, 10.0, 18.0)), options)
        records = SweepRecords(Folder(str(tmp_path / "earlier")))
        records.write_sweep(describe())
        for config in plan.known_trials:
            objective = 70.0 + config.method.epsilon + config.seed
            clean = accuracy_row("validation", "clean", 0, 48, 50)
            records.trial(config.trial_id).write_result(
                TrialResult(
                    trial_id=config.trial_id, config=config, status="max_epochs",
                    measurements=[clean],
                    objective=objective,
                )
            )  # fmt: skip
        return str(tmp_path / "earlier")

    return make


def test_means_over_seeds_at_points_of_the_space_are_taken_over(earlier):
    known, words = warm_start.read(joint_plan(earlier()))
    assert known == {
        (7.0, 4, 1, 0.33, RATE, 0.2): (77.5,),
        (10.0, 4, 1, 0.33, RATE, 0.2): (80.5,),
    }
    assert "from 4 trials" in words and "at 2 points; 2 others cannot be compared" in words


def test_two_objectives_take_the_clean_accuracy_too(earlier):
    known, _ = warm_start.read(joint_plan(earlier(), objectives=2))
    assert known[(7.0, 4, 1, 0.33, RATE, 0.2)] == (96.0, 77.5)


@pytest.mark.parametrize("given", [{"max_epochs": 1}, {"training_images": 300}])
def test_trials_of_another_training_are_passed_over(earlier, given):
    known, words = warm_start.read(joint_plan(earlier(**given)))
    assert known == {} and "from 0 trials" in words and "6 others" in words


def test_a_folder_without_a_sweep_is_named(earlier, tmp_path):
    assert warm_start.problems((earlier(),)) == warm_start.problems(None) == {}
    said = warm_start.problems((str(tmp_path / "nothing"),))["warm_start"]
    assert str(tmp_path / "nothing") in said
