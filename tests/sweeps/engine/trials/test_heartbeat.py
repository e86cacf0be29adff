"""A measure that takes long reports how far it is, every ten seconds."""

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
def lines():
    return []


def run(lines, step, calls, of="batches"):
    clock, model = Clock(step), nn.Identity()
    heart = Heartbeat(lines.append, clock)
    with heart.listening(model):
        heart.begin("first", of)
        for _ in range(calls):
            clock.now += step
            assert torch.equal(model(torch.ones(2)), torch.ones(2))
    return heart, model


def test_a_line_every_ten_seconds_with_the_budget(lines):
    run(lines, 4.0, 6, of="of at most 10,000 steps")
    assert lines == [
        "first",
        "  3 of at most 10,000 steps, 12 s",
        "  6 of at most 10,000 steps, 24 s",
    ]


def test_what_is_fast_is_only_named(lines):
    run(lines, 0.01, 50)
    assert lines == ["first"]


def test_the_next_measure_counts_anew_and_the_model_is_left_as_it_was(lines):
    heart, model = run(lines, 11.0, 1)
    heart.begin("second")
    assert lines == ["first", "  1 batches, 11 s", "second"]
    model(torch.ones(1))
    assert len(lines) == 3 and not model._forward_hooks
