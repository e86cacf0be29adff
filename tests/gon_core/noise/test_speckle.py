"""Speckle noise: in proportion to the pixel."""

import math

import pytest
import torch
from scipy import stats

from gon_core.noise import add_speckle_noise
from gon_core.seeding import generator


def speckled(images, sigma, seed=0):
    """Add speckle noise from a fixed stream."""
    return add_speckle_noise(images, sigma, generator(seed, "noise"))


@pytest.mark.parametrize("level", [0.2, 0.5])
@pytest.mark.parametrize("sigma", [0.05, 0.15])
def test_its_deviation_is_sigma_times_the_pixel(level, sigma):
    noise = (speckled(torch.full((40, 1, 28, 28), level), sigma) - level).double().flatten()
    assert abs(noise.mean()) < 4 * sigma * level / math.sqrt(len(noise))
    assert noise.std() == pytest.approx(sigma * level, rel=4 / math.sqrt(2 * len(noise)))
    assert stats.kstest(noise.numpy() / (sigma * level), "norm").pvalue > 0.01


def test_black_stays_black_and_half_of_white_stays_white():
    images = torch.zeros(10, 1, 28, 28)
    images[:, :, 14:] = 1
    result = speckled(images, 0.6)
    assert (result[:, :, :14] == 0).all()
    white = result[:, :, 14:]
    assert (white == 1).double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (white == 0).double().mean().item() == pytest.approx(stats.norm.cdf(-1 / 0.6), abs=0.02)
    assert ((white >= 0) & (white <= 1)).all()


def test_each_image_can_have_a_sigma_of_its_own():
    images = torch.rand(3, 1, 28, 28, generator=generator(0, "images"))
    before = images.clone()
    sigmas = [0.0, 0.15, 0.6]
    result = speckled(images, torch.tensor(sigmas))
    for index, sigma in enumerate(sigmas):
        assert torch.equal(result[index], speckled(images, sigma)[index])
    assert torch.equal(result[0], images[0]) and torch.equal(images, before)


@pytest.mark.parametrize("sigma", [-1e-9, math.nan, math.inf])
def test_a_sigma_that_is_no_deviation_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be"):
        speckled(torch.zeros(1, 1, 2, 2), sigma)
