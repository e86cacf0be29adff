"""Processes of a training stop at the same step, wherever one of them has to, and resume exactly.

Threads stand for the processes.
"""

import itertools
import math
import threading

import pytest
import torch

from gon_core.config import ANT, TrainingConfig
from gon_core.training import StoppedError, checkpoints, parallel, train
from gon_core.training.parallel import ALONE, MOST_STEPS, Stops
from tests.gon_core.training.threads import in_threads

CPU = torch.device("cpu")


def after(step):
    """Return what says, for a moment, that so many steps are enough."""
    calls = itertools.count(1)
    return lambda: next(calls) == step


def test_alone_it_stops_at_once():
    stops = Stops(ALONE, after(3), CPU)
    assert [stops.here() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("seconds", "interval"), [(1e-4, MOST_STEPS), (0.0625, 16), (0.5, 2), (20.0, 1)]
)
def test_all_stop_at_the_same_step_and_seldom_ask(seconds, interval, monkeypatch):
    clock = threading.local()
    monkeypatch.setattr(parallel.time, "perf_counter", lambda: getattr(clock, "now", 0.0))

    def one(group):
        stops = Stops(group, after(123 + 9 * group.rank), CPU)
        for step in itertools.count(1):
            clock.now = step * seconds
            if stops.here():
                return step

    found = [future.result() for future in in_threads(3, one)]
    asked = math.ceil((123 - 1) / interval)  # after the first step
    assert found == [1 + asked * interval] * 3 and found[0] < 123 + MOST_STEPS


def test_they_ask_before_what_takes_long():
    def one(group):
        stops = Stops(group, after(3 if group.rank else 99), CPU)
        stops._most = MOST_STEPS
        return [stops.here(is_last) for is_last in (False, False, False, True)]

    for future in in_threads(2, one):
        assert future.result() == [False, False, False, True]


@pytest.mark.system
def test_a_stop_within_the_generators_pretraining_changes_nothing(digits, small_state, monkeypatch):
    monkeypatch.setattr(parallel, "ASK_SECONDS", 1e9)  # only every MOST_STEPS
    monkeypatch.setattr(parallel, "MOST_STEPS", 5)
    data = digits(25)
    config = TrainingConfig(batch_size=10, learning_rate=0.05, max_epochs=1)
    method = ANT(epsilon=5.0, pretraining_steps=8, reset_interval=0.7)

    def to_the_end(group, state, stop):
        state.group = group
        try:
            for _ in train(state, data, method, config, stop):
                pass
        except StoppedError:
            return True
        return False

    def whole(group):
        state = small_state(config, 0, method)
        assert not to_the_end(group, state, lambda: False)
        return checkpoints.dump(state)

    def in_two(group):
        state = small_state(config, 0, method)
        assert to_the_end(group, state, after(3 + group.rank))
        assert state.method_state.steps_alone == 6, "five steps behind the first"
        taken = checkpoints.dump(state)
        again = small_state(config, 99, method)
        checkpoints.restore(again, taken)
        if group.rank:
            again.count_nothing()
        assert not to_the_end(group, again, lambda: False)
        return checkpoints.dump(again)

    expected, found = ([f.result() for f in in_threads(2, each)] for each in (whole, in_two))
    assert found[0] == found[1] == expected[0] == expected[1]
