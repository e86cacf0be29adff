import itertools
import random

import pytest

from sweeps.engine.search.told_points import BEST, EVERY, TOLD, best_of, last_begin, spread, told_of


@pytest.mark.parametrize(
    ("points", "begin"),
    [
        (0, 0), (TOLD, 0), (TOLD + EVERY - 1, 0),
        (TOLD + EVERY, TOLD + EVERY), (TOLD + 2 * EVERY - 1, TOLD + EVERY),
        (TOLD + 2 * EVERY, TOLD + 2 * EVERY), (10_000, 10_000),
    ],
)  # fmt: skip
def test_a_study_begins_anew_at_numbers_that_depend_on_nothing_else(points, begin):
    assert last_begin(points) == begin


def test_between_two_begins_a_study_never_holds_more_than_so_many():
    for points in range(5_000):
        begin = last_begin(points)
        assert min(begin, TOLD) + points - begin < TOLD + EVERY


@pytest.mark.parametrize(
    ("count", "found"),
    [(0, []), (1, [9]), (2, [4, 9]), (5, [1, 3, 5, 7, 9]), (10, list(range(10))),
     (11, list(range(10)))],
)  # fmt: skip
def test_items_are_spread_evenly_and_the_last_is_one_of_them(count, found):
    assert spread(range(10), count) == found


def test_the_best_are_those_of_the_highest_mean_and_the_first_of_equals():
    means = [(float(number % 10),) for number in range(100)]
    found = best_of(range(100), means)
    by_mean = sorted(range(100), key=lambda number: (-means[number][0], number))
    assert found == by_mean[:BEST]


def test_with_two_objectives_whole_fronts_come_first_and_of_the_last_points_all_along_it():
    fronts = [[(90.0 - level + x, 90.0 - level - x) for x in range(-7, 8)] for level in range(4)]
    means = [mean for front in fronts for mean in front]
    order = list(range(len(means)))
    random.Random(0).shuffle(order)
    found = [means[at] for at in best_of(order, [means[at] for at in order])]
    assert set(found[:15]) == set(fronts[0])
    second = sorted(mean for mean in found[15:])
    assert len(second) == BEST - 15 and set(second) < set(fronts[1])
    steps = [after[0] - before[0] for before, after in itertools.pairwise(second)]
    assert set(steps) <= {1.0, 2.0}  # 10 of 15, nowhere a gap


def test_equal_pairs_are_on_the_same_front():
    means = [(80.0, 70.0)] * 3 + [(81.0, 69.0), (80.0, 69.0)]
    assert set(best_of(range(5), means)) == {0, 1, 2, 3, 4}
    many = means * 10  # 40 on the first front, of 50
    assert all(many[at] != (80.0, 69.0) for at in best_of(range(50), many))


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_sampler_is_told_of_the_best_of_what_must_be_and_of_an_even_share_in_order(objectives):
    chance = random.Random(1)
    means = [tuple(chance.uniform(0, 90) for _ in range(objectives)) for _ in range(2_000)]
    means[::7] = [None] * len(means[::7])
    told = told_of(means, [3, 1_999])
    assert len(told) == TOLD and told == sorted(set(told)) and {3, 1_999} <= set(told)
    measured = [index for index, mean in enumerate(means) if mean is not None]
    assert set(best_of(measured, [means[index] for index in measured])) <= set(told)
    by_quarter = [sum(500 * q <= index < 500 * (q + 1) for index in told) for q in range(4)]
    assert min(by_quarter) > TOLD / 4 - 15
    unmeasured = sum(means[index] is None for index in told) / TOLD
    assert 0.07 < unmeasured < 0.22  # 1 in 7 of all


def test_few_points_are_all_told_of_and_what_must_be_told_is_never_left_out():
    means = [(1.0,)] * 40
    assert told_of(means) == list(range(40))
    many = [(1.0,)] * 1_000
    assert set(range(400)) <= set(told_of(many, range(400)))
    assert told_of([None] * 1_000, [5]) == sorted({5, *told_of([None] * 1_000, [5])})
    assert told_of([]) == []
