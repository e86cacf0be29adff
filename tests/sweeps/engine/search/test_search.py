import itertools
from functools import cache

import pytest

from search_spaces.joint import nearest_legal
from search_spaces.parameter import contains
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import GridSearch, JointSearch, LineSearch
from sweeps.engine.search.study import LINE_SAMPLERS, SAMPLERS
from tests.spaces import COARSE_GRID, JOINT_SPACE, SIGMA


def search(grid=(0.0, 0.5, 0.9), seeds=(0, 1), **changes) -> LineSearch:
    settings = {"parameter": SIGMA, "refinements": 2, "sampler": "tpe", "sampler_seed": 0}
    return LineSearch(
        Ledger([(value,) for value in grid], seeds, lambda *_: None), **(settings | changes)
    )


def accuracy(sigma: float) -> float:
    return 84 - 30 * (sigma - 0.55) ** 2


def answer(point, seed) -> tuple[float, ...]:
    return (accuracy(point[0]) + 0.1 * seed,)


def run(search, at_a_time: int = 1, answer=answer) -> list:
    order, running = [], []
    while not search.is_exhausted or running:
        if len(running) < at_a_time and (trial := search.next_trial()) is not None:
            order.append(trial[:2])
            running.append(trial[:2])
            continue
        if not running:
            continue  # the search has just found that there is nothing left
        point, seed = running.pop(0)
        search.ledger.record(point, seed, "max_epochs", answer(point, seed))
    return order


@pytest.mark.system
@pytest.mark.parametrize("sampler", LINE_SAMPLERS)
@pytest.mark.parametrize("at_a_time", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_grid_runs_first_with_every_seed_then_the_best_is_refined(sampler, at_a_time):
    line = search(grid=COARSE_GRID, sampler=sampler, refinements=4)
    order = run(line, at_a_time)
    grid = [((value,), seed) for seed in (0, 1) for value in COARSE_GRID]
    assert order[: len(grid)] == grid
    refined = [entry.point[0] for entry in line.ledger.proposed]
    assert len(refined) == 4 and len(order) == len(set(order)) == len(grid) + 8
    assert all(0.2 <= value <= 0.8 for value in refined)
    assert all(round(value * 100, 6) % 1 == 0 for value in refined)


@pytest.mark.system
@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name
        for name in LINE_SAMPLERS
    ],
)
def test_the_same_answers_give_the_same_proposals(sampler):
    assert run(search(sampler=sampler)) == run(search(sampler=sampler))


def test_nothing_is_refined_before_the_whole_grid_has_ended():
    line = search()
    started = [line.next_trial()[:2] for _ in range(6)]
    assert line.next_trial() is None
    for point, seed in started[:-1]:
        line.ledger.record(point, seed, "max_epochs", answer(point, seed))
    assert line.next_trial() is None and not line.is_exhausted
    line.ledger.record(*started[-1], "max_epochs", (80.0,))
    assert line.next_trial() is not None


def test_the_search_sees_the_mean_over_seeds():
    ledger = search().ledger
    ledger.record((0.5,), 0, "converged", (80.0,))
    assert ledger.mean((0.5,)) is None
    ledger.record((0.5,), 1, "max_epochs", (84.0,))
    assert ledger.mean((0.5,)) == (82.0,)


@pytest.mark.parametrize("status", ["pruned", "diverged", "failed"])
def test_a_point_with_an_unmeasured_seed_has_no_mean_and_is_not_refined_around(status):
    line = search(refinements=0)
    for seed in (0, 1):
        line.ledger.record((0.0,), seed, "converged", (70.0,))
    line.ledger.record((0.5,), 0, "converged", (99.0,))
    line.ledger.record((0.5,), 1, status, (99.0,))
    assert line.ledger.mean((0.5,)) is None and line.ledger.is_settled((0.5,))
    assert line.bracket() == (0.0, 0.5)


def test_refinement_ends_when_no_grid_point_was_measured():
    line = search()
    for point, seed, _ in [line.next_trial() for _ in range(6)]:
        line.ledger.record(point, seed, "diverged", None)
    assert line.next_trial() is None and line.is_exhausted


def test_a_rebuilt_search_goes_on_where_the_first_stopped():
    whole = search(refinements=3)
    order = run(whole)
    for stop in range(len(order)):
        rebuilt = search(refinements=3)
        for point, seed in order[:stop]:
            rebuilt.ledger.propose(point)
            rebuilt.ledger.record(point, seed, "max_epochs", answer(point, seed))
        assert order[:stop] + run(rebuilt) == order


def test_a_grid_of_one_value_is_finished_without_refinement_and_stays_so():
    assert len(run(search(grid=(0.5,)))) == 2
    rebuilt = search(grid=(0.5,))
    for seed in (0, 1):
        rebuilt.ledger.record((0.5,), seed, "max_epochs", (80.0,))
    assert rebuilt.is_exhausted


def test_a_bracket_without_untried_steps_ends_the_refinement():
    line = search(grid=(0.5, 0.51), refinements=5)
    assert len(run(line)) == 4


def test_a_grid_search_runs_its_points_and_proposes_nothing():
    grid = GridSearch(Ledger([(1, 1), (2, 3)], (0, 1), lambda *_: None))
    assert run(grid, 3) == [((1, 1), 0), ((2, 3), 0), ((1, 1), 1), ((2, 3), 1)]


def joint(**changes) -> JointSearch:
    settings = {
        "space": JOINT_SPACE, "trials": 9, "objectives": 1, "sampler": "tpe", "sampler_seed": 0,
        "known": {}, "nearest_legal": nearest_legal,
    }  # fmt: skip
    return JointSearch(
        Ledger([], changes.pop("seeds", (0,)), lambda *_: None), **(settings | changes)
    )


def one(point, seed):
    return (90 - (point[0] - 10) ** 2 - 3 * (point[2] == 3) + 0.1 * seed,)


def two(point, seed):
    return (99 - 0.1 * point[0], *one(point, seed))


# Each fit of a Gaussian process in six dimensions takes a second.
EVERY_SAMPLER = pytest.mark.parametrize(
    "sampler",
    [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in SAMPLERS],
)


@cache
def whole_joint(sampler, objectives):
    """Return the trials of a joint search of nine points, in order."""
    return run(joint(sampler=sampler, objectives=objectives), 1, ANSWERS[objectives])


ANSWERS = {1: one, 2: two}


@EVERY_SAMPLER
@pytest.mark.parametrize("objectives", ANSWERS)
def test_a_joint_search_proposes_legal_points_once_each(sampler, objectives):
    points = [point for point, _ in whole_joint(sampler, objectives)]
    assert len(points) == len(set(points)) == 9
    for point in points:
        assert all(map(contains, JOINT_SPACE, point))
        assert nearest_legal(point) == point


def test_a_joint_search_runs_every_seed_of_a_point():
    order = run(joint(seeds=(0, 1)), 1, one)
    points = [point for point, _ in order]
    assert points[::2] == points[1::2] and len(set(points)) == 9
    assert [seed for _, seed in order] == [0, 1] * 9


@EVERY_SAMPLER
@pytest.mark.parametrize("objectives", ANSWERS)
def test_a_rebuilt_joint_search_goes_on_as_if_it_had_not_stopped(sampler, objectives):
    order, answer = whole_joint(sampler, objectives), ANSWERS[objectives]
    for stop in (7,) if sampler == "gp" else (1, 6, 8):
        rebuilt = joint(sampler=sampler, objectives=objectives)
        for point, seed in order[:stop]:
            rebuilt.ledger.propose(point)
            rebuilt.ledger.record(point, seed, "max_epochs", answer(point, seed))
        assert order[:stop] + run(rebuilt, 1, answer) == order


GP_12 = pytest.param("gp", 12, marks=pytest.mark.slow)


@pytest.mark.parametrize(("sampler", "trials"), [GP_12, ("tpe", 40), ("nsga2", 40)])
def test_a_joint_search_learns(sampler, trials):
    search = joint(sampler=sampler, trials=trials)
    run(search, 1, one)
    means = [search.ledger.mean(point)[0] for point in search.ledger.entries]
    first, last = sorted(means[:10]), sorted(means[-10:])
    assert sum(last[-5:]) > sum(first[-5:])


def test_what_earlier_sweeps_found_guides_the_first_proposal():
    good, bad = (10.0, 4, 1, 0.33, 1e-4, 0.2), (3.0, 4, 1, 0.33, 1e-4, 0.2)
    known = {
        tuple([base[0] + 0.1 * i, *base[1:]]): (90.0 if base is good else 40.0,)
        for base, i in itertools.product((good, bad), range(8))
    }
    near = [joint(known=known, sampler_seed=seed).next_trial()[0][0] for seed in range(5)]
    assert sum(abs(epsilon - 10) < 2.5 for epsilon in near) >= 4
