import itertools
import random

import pytest
from optuna import samplers

from search_spaces.joint import EPSILON, SPACE, nearest_legal
from sweeps.engine.search import told_points
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import JointSearch
from sweeps.engine.search.study import (
    has_failed,
    importances,
    known_trial,
    make_sampler,
    make_study,
    population_size,
)


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


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("points", [0, 1, 4, 60])
def test_tpe_proposes_what_optunas_own_does(objectives, points):
    distributions = {parameter.name: parameter.distribution() for parameter in SPACE}
    chance, ledger = random.Random(points), Ledger([], (0,), lambda *_: None)
    search = JointSearch(ledger, SPACE, 60, objectives, "random", 0, {}, nearest_legal)
    for _ in range(points):
        point, *_ = search.next_trial()
        if status := chance.choice(["max_epochs", "max_epochs", "pruned", None]):  # or it runs
            ledger.record(point, 0, status, answer(point, chance)[1][:objectives])
    for seed in range(3):
        own = samplers.TPESampler(seed=seed, n_startup_trials=3, constant_liar=True)
        found = []
        for sampler in (own, make_sampler("tpe", seed, 3)):
            study = make_study(sampler, objectives)
            study.add_trials(
                [known_trial(ledger, point, distributions) for point in ledger.entries]
            )
            found.append(study.ask(distributions).params)
        assert found[0] == found[1]


MANY = 50


@pytest.fixture
def few_told(monkeypatch):
    """Make 20 points very many."""
    for name, value in {"TOLD": 20, "EVERY": 7, "BEST": 8}.items():
        monkeypatch.setattr(told_points, name, value)


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
def test_a_study_of_a_part_proposes_what_one_rebuilt_from_the_records_does(
    few_told, objectives, known
):
    ledger, before = Ledger([], (0,), lambda *_: None), earlier(known, objectives)
    search, chance = joint(ledger, objectives, before), random.Random(0)
    while not search.is_exhausted:
        assert search._proposal() == joint(ledger, objectives, before)._proposal()
        point, seed, _ = search.next_trial()
        status, accuracies = answer(point, chance)
        ledger.record(point, seed, status, accuracies[:objectives])
    assert len(ledger.entries) == MANY


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_sampler_sees_no_more_than_so_many_points_the_best_and_all_that_run(
    few_told, objectives, monkeypatch
):
    from optuna.samplers import TPESampler

    seen, original = [], TPESampler.sample_relative

    def sample_relative(self, study, trial, space):
        seen.append([t for t in study.get_trials(deepcopy=False) if t.number != trial.number])
        return original(self, study, trial, space)

    monkeypatch.setattr(TPESampler, "sample_relative", sample_relative)
    known = earlier(15, objectives)
    ledger, chance, running = Ledger([], (0,), lambda *_: None), random.Random(0), []
    search = joint(ledger, objectives, known)
    while not search.is_exhausted:
        if len(running) < 4:
            running.append(search.next_trial()[:2])
            points = [tuple(t.params.values()) for t in seen[-1] if t.state.name != "FAIL"]
            assert len(points) == len(set(points))
            assert len(points) <= told_points.TOLD + told_points.EVERY
            # Those that failed since, among at most four that ran, are all that may be missing.
            useful = len(known) + sum(not has_failed(ledger, point) for point in ledger.entries)
            assert len(points) >= min(useful - 1, told_points.TOLD) - 4
            others = list(ledger.entries)[:-1]  # all but the one that was just asked for
            assert {point for point in others if not ledger.is_settled(point)} <= set(points)
            if objectives == 1:
                means = [*known.items(), *((point, ledger.mean(point)) for point in others)]
                values = sorted((mean[0] for _, mean in means if mean is not None), reverse=True)
                told = {t.value for t in seen[-1] if t.state.name == "COMPLETE"}
                assert set(values[: told_points.BEST]) <= told
            continue
        point, seed = running.pop(chance.randrange(len(running)))
        status, accuracies = answer(point, chance)
        ledger.record(point, seed, status, accuracies[:objectives])
    assert len(seen) >= MANY


def test_what_a_proposal_is_told_of_does_not_grow_with_the_points(monkeypatch):
    from optuna.study import Study

    told, original = [], Study.add_trial
    monkeypatch.setattr(Study, "add_trial", lambda *a: told.append(a) or original(*a))
    ledger, counts = Ledger([], (0,), lambda *_: None), {}
    search = joint(ledger)
    for number, (depth, place) in enumerate(itertools.product(range(1, 6), range(140))):
        if number in (400, 600):
            told.clear()
            search._proposal()  # the first takes in all that went before
            counts[f"first at {number}"] = len(told)
        elif number in (450, 650):
            counts[f"up to {number}"] = len(told)
        elif 400 < number < 450 or 600 < number < 650:
            search._proposal()
        ledger.propose(point := (round(3 + 0.05 * place, 2), depth, 1, 0.33, 1e-4, 0.2))
        ledger.record(point, 0, "max_epochs", (float(place),))
    assert counts["first at 400"] == counts["first at 600"] == told_points.TOLD
    assert counts["up to 450"] == counts["up to 650"] < told_points.TOLD + told_points.EVERY
