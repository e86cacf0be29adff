import random

import pytest

from gon_core.benchmarks.mnist import MNIST
from search_spaces.joint import nearest_legal, space
from sweeps.engine.search import study
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import JointSearch
from sweeps.engine.search.study import importances, known_trial, population_size

SPACE = space(MNIST)
EPSILON = SPACE[0]


@pytest.mark.parametrize(("trials", "size"), [(1, 4), (20, 4), (60, 12), (1000, 50)])
def test_a_generation_is_a_fifth_of_all_points(trials, size):
    assert population_size(trials) == size


def test_importance_finds_the_parameter_that_matters():
    chance = random.Random(0)
    known = {}
    for _ in range(40):
        epsilon = EPSILON.nearest(chance.uniform(EPSILON.low, EPSILON.high))
        point = (epsilon, chance.randrange(1, 6), 1, 0.33, 1e-4, 0.2)
        known[point] = (90 - (epsilon - 10) ** 2 + 0.1 * point[1],)
    found = importances(SPACE, known, 0)
    assert max(found, key=found.get) == "epsilon" and sum(found.values()) == pytest.approx(1)
    assert importances(SPACE, dict(list(known.items())[:3]), 0) == {}


def test_a_point_failed_once_it_has_ended_and_a_seed_of_it_failed():
    distributions = {parameter.name: parameter.distribution() for parameter in SPACE}
    point = (9.0, 4, 1, 0.33, 1e-4, 0.2)
    ledger = Ledger([point], (0, 1), lambda *_: None)
    states = [known_trial(ledger, point, distributions).state.name]
    for seed, status in enumerate(("failed", "max_epochs")):
        ledger.record(point, seed, status, (80.0,))
        states.append(known_trial(ledger, point, distributions).state.name)
    assert states == ["RUNNING", "RUNNING", "FAIL"]


MANY = 50


@pytest.fixture
def few_kept(monkeypatch):
    """Make 20 points very many."""
    monkeypatch.setattr(study, "HALF", 10)


def joint(ledger, objectives=1, known=None):
    return JointSearch(ledger, SPACE, MANY, objectives, "tpe", 0, known or {}, nearest_legal)


def answer(point, chance):
    """Return how a trial ends, and its two accuracies."""
    status = chance.choices(["max_epochs", "pruned", "failed"], [6, 1, 3])[0]
    return status, (90 - abs(point[0] - 10) - point[5], 80 + point[5] - abs(point[1] - 3))


def earlier(count, objectives):
    points = [(round(3 + 0.1 * at, 1), 2, 1, 0.33, 1e-4, 0.2) for at in range(count)]
    return {point: (80.0 + point[0], 85.0)[:objectives] for point in points}


@pytest.mark.parametrize(("objectives", "known"), [(1, 0), (2, 0), (1, 12), (1, 30), (2, 26)])
def test_a_study_of_the_last_points_proposes_what_one_rebuilt_from_the_records_does(
    few_kept, objectives, known
):
    ledger, before = Ledger([], (0,), lambda *_: None), earlier(known, objectives)
    search, chance = joint(ledger, objectives, before), random.Random(0)
    while not search.is_exhausted:
        assert search._proposal() == joint(ledger, objectives, before)._proposal()
        point, seed, _ = search.next_trial()
        status, accuracies = answer(point, chance)
        ledger.record(point, seed, status, accuracies[:objectives])
    assert len(ledger.entries) == MANY


def test_a_study_holds_the_last_points_and_does_not_grow_with_all(few_kept):
    ledger, chance = Ledger([], (0,), lambda *_: None), random.Random(0)
    search = joint(ledger, known=earlier(15, 1))
    while not search.is_exhausted:
        point, *_ = search.next_trial()
        held = [t for t in search._growing._study.get_trials() if t.state.name != "FAIL"]
        assert len(held) < 2 * study.HALF
        status, accuracies = answer(point, chance)
        ledger.record(point, 0, status, accuracies[:1])
    assert search._growing._first == 50  # of 65 points; it began anew after 60
