"""One seed, many streams."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gon_core.seeding import generator

NAMES = st.lists(st.text(max_size=8) | st.integers(), max_size=3).map(tuple)


def draws(seed, *names):
    """Return the first numbers of a stream."""
    return torch.randint(2**40, (4,), generator=generator(seed, *names)).tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(), st.integers(), NAMES, NAMES)
def test_a_stream_belongs_to_its_seed_and_names_alone(seed, other_seed, names, other_names):
    same = (seed, *names) == (other_seed, *other_names)
    assert (draws(seed, *names) == draws(other_seed, *other_names)) == same
    assert draws(seed, *names) == draws(seed, *names)


def test_names_are_not_glued_together():
    streams = [("ab",), ("a", "b"), ("a, b",), ("a", "b", ""), ("1",), (1,), (1, 1), (11,), ()]
    assert len({tuple(draws(0, *names)) for names in streams}) == len(streams)


@pytest.mark.parametrize(
    ("seed", "name", "order", "first"),
    [
        (0, "data order", [2, 0, 7, 3, 5, 4, 1, 6], 0.9393731),
        (0, "noise", [7, 1, 0, 3, 2, 4, 6, 5], 0.0803537),
    ],
)
def test_streams_never_change(seed, name, order, first):
    assert torch.randperm(8, generator=generator(seed, name)).tolist() == order
    assert torch.rand(1, generator=generator(seed, name)).item() == pytest.approx(first, abs=1e-6)


def test_global_state_is_neither_read_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = draws(5, "noise")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert draws(5, "noise") == first


def test_streams_look_independent():
    rows = torch.stack([torch.randn(4000, generator=generator(0, "s", i)) for i in range(20)])
    correlation = torch.corrcoef(rows) - torch.eye(20)
    assert correlation.abs().max() < 5 / 4000**0.5
