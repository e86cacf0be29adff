import pytest

from search_spaces.sigma import COARSE_GRID, SIGMA
from sweeps.engine.study import SAMPLERS, LineSearch


def search(**changes) -> LineSearch:
    settings = {
        "parameter": SIGMA, "grid": (0.0, 0.5, 0.9), "refinements": 2, "seeds": (0, 1),
        "sampler": "tpe", "sampler_seed": 0,
    }  # fmt: skip
    return LineSearch(**(settings | changes))


def accuracy(sigma: float) -> float:
    return 84 - 30 * (sigma - 0.55) ** 2


def run(line: LineSearch, at_a_time: int = 1) -> list[tuple[float, int]]:
    order, running = [], []
    while not line.is_exhausted or running:
        if len(running) < at_a_time and (trial := line.next_trial()) is not None:
            order.append(trial)
            running.append(trial)
            continue
        if not running:
            continue  # the search has just found that there is nothing left
        value, seed = running.pop(0)
        line.tell(value, seed, "max_epochs", accuracy(value) + 0.1 * seed)
    return order


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("at_a_time", [1, 3])
def test_the_grid_runs_first_with_every_seed_then_the_best_is_refined(sampler, at_a_time):
    line = search(grid=COARSE_GRID, sampler=sampler, refinements=4)
    order = run(line, at_a_time)
    grid = [(value, seed) for value in COARSE_GRID for seed in (0, 1)]
    assert order[: len(grid)] == grid
    refined = [point for point in line.points.values() if point.refined]
    assert len(refined) == 4 and len(order) == len(set(order)) == len(grid) + 8
    assert all(0.2 <= point.value <= 0.8 for point in refined)
    assert all(round(point.value * 100, 6) % 1 == 0 for point in refined)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_answers_give_the_same_proposals(sampler):
    assert run(search(sampler=sampler)) == run(search(sampler=sampler))


def test_nothing_is_refined_before_the_whole_grid_has_ended():
    line = search()
    started = [line.next_trial() for _ in range(6)]
    assert None not in started and line.next_trial() is None
    for value, seed in started[:-1]:
        line.tell(value, seed, "max_epochs", accuracy(value))
    assert line.next_trial() is None and not line.is_exhausted
    line.tell(*started[-1], "max_epochs", 80.0)
    assert line.next_trial() is not None


def test_the_search_sees_the_mean_over_seeds():
    line = search()
    line.tell(0.5, 0, "converged", 80.0)
    assert line.mean(0.5) is None
    line.tell(0.5, 1, "max_epochs", 84.0)
    assert line.mean(0.5) == 82.0


@pytest.mark.parametrize("status", ["pruned", "diverged", "failed"])
def test_a_point_with_an_unmeasured_seed_is_never_best(status):
    line = search(refinements=0)
    for seed in (0, 1):
        line.tell(0.0, seed, "converged", 70.0)
    line.tell(0.5, 0, "converged", 99.0)
    line.tell(0.5, 1, status, 99.0)
    assert line.best() == 0.0


def test_refinement_ends_when_no_grid_point_was_measured():
    line = search()
    for value, seed in [line.next_trial() for _ in range(6)]:
        line.tell(value, seed, "diverged", None)
    assert line.next_trial() is None and line.is_exhausted


def test_a_rebuilt_search_goes_on_where_the_first_stopped():
    whole = search(refinements=3)
    order = run(whole)
    for stop in range(len(order)):
        rebuilt = search(refinements=3)
        for value, seed in order[:stop]:
            rebuilt.adopt(value)
            rebuilt.tell(value, seed, "max_epochs", accuracy(value) + 0.1 * seed)
        assert order[:stop] + run(rebuilt) == order


def test_a_grid_of_one_value_is_finished_without_refinement_and_stays_so():
    assert len(run(search(grid=(0.5,)))) == 2
    rebuilt = search(grid=(0.5,))
    for seed in (0, 1):
        rebuilt.tell(0.5, seed, "max_epochs", 80.0)
    assert rebuilt.is_exhausted


def test_a_bracket_without_untried_steps_ends_the_refinement():
    line = search(grid=(0.5, 0.51), refinements=5)
    assert len(run(line)) == 4
