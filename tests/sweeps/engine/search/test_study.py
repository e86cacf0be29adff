import random

import pytest
from optuna.study import Study

from search_spaces.joint import nearest_legal
from sweeps.engine.search import search
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import JointSearch
from sweeps.engine.search.study import importances, known_trial, population_size
from tests.spaces import JOINT_SPACE

EPSILON = JOINT_SPACE[0]


@pytest.mark.parametrize(("trials", "size"), [(1, 4), (20, 4), (60, 12), (1000, 50)])
def test_a_generation_is_a_fifth_of_all_points(trials, size):
    assert population_size(trials) == size


@pytest.mark.system
def test_importance_finds_the_parameter_that_matters():
    chance = random.Random(0)
    known = {}
    for _ in range(40):
        epsilon = EPSILON.nearest(chance.uniform(EPSILON.low, EPSILON.high))
        point = (epsilon, chance.randrange(1, 6), 1, 0.33, 1e-4, 0.2)
        known[point] = (90 - (epsilon - 10) ** 2 + 0.1 * point[1],)
    found = importances(JOINT_SPACE, known, 0)
    assert max(found, key=found.get) == "epsilon" and sum(found.values()) == pytest.approx(1)
    assert importances(JOINT_SPACE, dict(list(known.items())[:3]), 0) == {}


def test_a_point_failed_once_it_has_ended_and_a_seed_of_it_failed():
    distributions = {parameter.name: parameter.distribution() for parameter in JOINT_SPACE}
    point = (9.0, 4, 1, 0.33, 1e-4, 0.2)
    ledger = Ledger([point], (0, 1), lambda *_: None)
    states = [known_trial(ledger, point, distributions).state.name]
    for seed, status in enumerate(("failed", "max_epochs")):
        ledger.record(point, seed, status, (80.0,))
        states.append(known_trial(ledger, point, distributions).state.name)
    assert states == ["RUNNING", "RUNNING", "FAIL"]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("known", [0, 3, 12])
def test_a_sampler_looks_at_the_last_points_alone(sampler, known, monkeypatch, caplog):
    monkeypatch.setattr(search, "LOOKED_AT", 10)
    added = []
    monkeypatch.setattr(Study, "add_trials", lambda self, trials: added.append(list(trials)))
    earlier = {(3 + 0.1 * at, 2, 1, 0.33, 1e-4, 0.2): (80.0,) for at in range(known)}
    ledger = Ledger([], (0,), lambda *_: None)
    joint = JointSearch(ledger, JOINT_SPACE, 15, 1, sampler, 0, earlier, nearest_legal)
    while not joint.is_exhausted:
        point, seed, _ = joint.next_trial()
        looked_at = [tuple(trial.params.values()) for trial in added[-1]]
        assert looked_at == [*earlier, *ledger.entries][:-1][-10:]
        ledger.record(point, seed, "max_epochs", (90.0,))
    assert len(caplog.messages) == 1 and "the last 10 points alone" in caplog.text
