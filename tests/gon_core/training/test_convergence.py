"""The rule of when to stop: a table of cases, then what holds for every series of losses."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gon_core.config import TrainingConfig
from gon_core.training.convergence import Convergence, advance

LAST = ("converged", "max_epochs", "diverged")
NAN, INF = math.nan, math.inf


def follow(losses, config):
    """Feed losses until training ends; return the events and the states."""
    state, events, states = Convergence(), [], []
    for loss in losses:
        state, event = advance(state, float(loss), config)
        events.append(event)
        states.append(state)
        if event in LAST:
            break
    return events, states


@pytest.mark.parametrize(
    ("losses", "patience", "min_improvement", "max_epochs", "events"),
    [
        pytest.param(
            [1, 0.95, 0.95, 0.94, 0.94, 0.94], 2, 0.1, 99,
            "continue continue decay continue continue converged",
            id="plateau, decay once, plateau",
        ),
        pytest.param(
            [5, 4, 3, 2, 1], 1, 0.1, 5, "continue continue continue continue max_epochs",
            id="still falling when the budget ends",
        ),
        pytest.param([1], 1, 0.1, 1, "max_epochs", id="a budget of one epoch"),
        pytest.param(
            [1, 1, 1, 1], 1, 0.1, 99, "continue decay continue converged", id="patience of one"
        ),
        pytest.param([1, NAN], 1, 0.1, 99, "continue diverged", id="NaN"),
        pytest.param([INF], 1, 0.1, 99, "diverged", id="infinite at once"),
        pytest.param([1, -INF], 1, 0.1, 99, "continue diverged", id="minus infinity"),
        pytest.param([1, NAN], 1, 0.1, 2, "continue diverged", id="NaN in the last epoch"),
        pytest.param(
            [1, 1, NAN], 1, 0.1, 99, "continue decay diverged", id="NaN after the decay"
        ),
        pytest.param([1, 0.5], 1, 0.5, 99, "continue decay", id="exactly the least drop is none"),
        pytest.param([1, 0.4999], 1, 0.5, 99, "continue continue", id="a little more is one"),
        pytest.param([1, 1], 1, 0, 99, "continue decay", id="equal is no improvement"),
        pytest.param(
            [1, math.nextafter(1, 0)], 1, 0, 99, "continue continue", id="any drop counts at 0"
        ),
        pytest.param(
            [1, 0.96, 0.92, 0.89, 0.89], 4, 0.1, 99,
            "continue continue continue continue continue",
            id="small drops add up",
        ),
        pytest.param(
            [1, 2, 1.5, 1.2], 3, 0.1, 99, "continue continue continue decay",
            id="falling again above the best is stale",
        ),
        pytest.param(
            [1, 1, 9, 9], 1, 0.1, 99, "continue decay continue converged",
            id="after the decay the best starts anew",
        ),
        pytest.param([0, 0, 0, 0], 1, 0.1, 99, "continue decay continue converged", id="zero loss"),
        pytest.param(
            [1, 1, 1, 1], 1, 0.1, 4, "continue decay continue converged",
            id="second plateau in the last epoch: converged",
        ),
        pytest.param(
            [1, 1], 1, 0.1, 2, "continue max_epochs", id="first plateau in the last epoch: not"
        ),
    ],
)  # fmt: skip
def test_events(losses, patience, min_improvement, max_epochs, events):
    config = TrainingConfig(
        patience=patience, min_improvement=min_improvement, max_epochs=max_epochs
    )
    found, states = follow(losses, config)
    assert found == events.split()
    assert [state.epoch for state in states] == [*range(1, len(found) + 1)]


CONFIGS = st.builds(
    TrainingConfig,
    patience=st.integers(1, 5),
    min_improvement=st.floats(0, 0.9),
    max_epochs=st.integers(1, 40),
    decays=st.integers(0, 2),
)
LOSSES = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30)
ANY_LOSSES = st.lists(st.floats(), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(ANY_LOSSES, CONFIGS)
def test_every_series_ends_within_the_budget_after_its_decays(losses, config):
    events, states = follow(itertools.cycle(losses), config)
    assert events[-1] in LAST and not set(events[:-1]) & set(LAST)
    assert len(events) <= config.max_epochs
    assert events.count("decay") <= config.decays
    assert events[-1] != "converged" or events.count("decay") == config.decays
    assert (events[-1] == "diverged") == (
        not math.isfinite(losses[(len(events) - 1) % len(losses)])
    )
    assert [state.decayed for state in states] == [
        events[: index + 1].count("decay") for index in range(len(events))
    ]
    assert all(state.stale_epochs < config.patience for state in states[:-1])


@settings(max_examples=100, deadline=None)
@given(LOSSES, CONFIGS, st.integers(-30, 30))
def test_only_ratios_of_losses_matter(losses, config, exponent):
    scaled = [loss * 2.0**exponent for loss in losses]
    assert follow(losses, config)[0] == follow(scaled, config)[0]


@settings(max_examples=100, deadline=None)
@given(LOSSES, CONFIGS)
def test_more_patience_never_decays_sooner(losses, config):
    """What follows the decay depends on the losses after it, so the end may come sooner."""
    patient = TrainingConfig(**config.model_dump() | {"patience": config.patience + 1})
    series = losses + [losses[-1]] * 60
    first, later = (
        next(epoch for epoch, event in enumerate(follow(series, each)[0]) if event != "continue")
        for each in (config, patient)
    )
    assert first <= later


def test_advance_leaves_the_state_it_was_given():
    state = Convergence(epoch=3, best_loss=1.0)
    before = replace(state)
    advance(state, 0.1, TrainingConfig())
    assert state == before
