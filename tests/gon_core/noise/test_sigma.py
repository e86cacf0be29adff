"""One sigma for each image: its distribution and its source."""

import pytest
import torch
from scipy import stats

from gon_core.noise import sigma
from gon_core.seeding import generator

IMAGES = torch.zeros(6000, 1, 1, 1)
SIGMAS = torch.tensor([0.08, 0.12, 0.18, 0.26, 0.38])


def test_every_sigma_is_chosen_equally_often():
    drawn = sigma.choose(SIGMAS, IMAGES, generator(0, "noise"))
    counts = [(drawn == value).sum().item() for value in SIGMAS]
    assert sum(counts) == len(IMAGES)
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_sigma_given_twice_is_chosen_twice_as_often():
    drawn = sigma.choose(torch.tensor([0.1, 0.2, 0.1]), IMAGES, generator(0, "noise"))
    assert (drawn < 0.15).float().mean().item() == pytest.approx(2 / 3, abs=0.025)


def test_uniform_sigmas_are_uniform():
    drawn = sigma.uniform(0.4, IMAGES, generator(0, "noise"))
    assert (drawn >= 0).all() and (drawn < 0.4).all()
    assert stats.kstest(drawn.numpy() / 0.4, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    "draw",
    [
        lambda images, stream: sigma.choose(SIGMAS, images, stream),
        lambda images, stream: sigma.uniform(0.4, images, stream),
    ],
)
def test_sigmas_come_from_their_stream_alone(draw):
    torch.manual_seed(0)
    untouched = torch.get_rng_state()
    stream = generator(0, "noise")
    first, second = draw(IMAGES[:50], stream), draw(IMAGES[:50], stream)
    assert torch.equal(first, draw(IMAGES[:50], generator(0, "noise")))
    assert not torch.equal(first, second)
    assert draw(IMAGES[:0], stream).shape == (0,)
    assert torch.equal(torch.get_rng_state(), untouched)
