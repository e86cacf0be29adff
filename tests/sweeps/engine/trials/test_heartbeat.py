"""A measure that takes long tells how far it is, every ten seconds."""

import pytest
import torch
from torch import nn

from sweeps.engine.trials.heartbeat import Heartbeat


class Clock:
    """Time that passes with each call of the model."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    return []


def run(told, step, calls, of="batches"):
    clock, model = Clock(step), nn.Identity()
    heart = Heartbeat(told.append, clock)
    with heart.listening(model):
        heart.begin("first", of)
        for _ in range(calls):
            clock.now += step
            assert torch.equal(model(torch.ones(2)), torch.ones(2))
    return heart, model


def test_a_line_every_ten_seconds_with_the_budget(told):
    run(told, 4.0, 6, of="of at most 10,000 steps")
    assert told == [
        "first",
        "  3 of at most 10,000 steps, 12 s",
        "  6 of at most 10,000 steps, 24 s",
    ]


def test_what_is_fast_is_only_named(told):
    run(told, 0.01, 50)
    assert told == ["first"]


def test_the_next_measure_counts_anew_and_the_model_is_left_as_it_was(told):
    heart, model = run(told, 11.0, 1)
    heart.begin("second")
    assert told == ["first", "  1 batches, 11 s", "second"]
    model(torch.ones(1))
    assert len(told) == 3 and not model._forward_hooks
