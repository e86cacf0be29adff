"""Additive Gaussian noise: its distribution, its range, its source."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gon_core.noise import add_gaussian_noise
from gon_core.seeding import generator

GREY = torch.full((40, 1, 28, 28), 0.5)


def noisy(images, sigma, seed=0):
    """Add noise from a fixed stream."""
    return add_gaussian_noise(images, sigma, generator(seed, "noise"))


@settings(max_examples=40, deadline=None)
@given(
    sigma=st.floats(0, 1e30, allow_nan=False),
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
)
def test_the_result_is_a_new_image_in_range(sigma, seed, shape):
    images = torch.rand(shape, generator=generator(seed, "images"))
    before = images.clone()
    result = noisy(images, sigma, seed)
    assert result.shape == images.shape and result.dtype == torch.float32
    assert ((result >= 0) & (result <= 1)).all()
    assert torch.equal(images, before) and (not images.numel() or result is not images)
    assert torch.equal(noisy(images, sigma, seed), result)


def test_sigma_zero_is_the_identity():
    images = torch.rand(5, 3, 8, 8, generator=generator(0, "images"))
    images[0] = 0
    images[1] = 1
    assert torch.equal(noisy(images, 0.0), images)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.1])
def test_far_from_the_ends_it_is_normal_with_the_given_sigma(sigma):
    noise = (noisy(GREY, sigma) - 0.5).double().flatten()
    assert abs(noise.mean()) < 4 * sigma / math.sqrt(len(noise))
    assert noise.std() == pytest.approx(sigma, rel=4 / math.sqrt(2 * len(noise)))
    assert stats.kstest(noise.numpy() / sigma, "norm").pvalue > 0.01


def test_pixels_are_drawn_independently():
    noise = (noisy(GREY, 0.1) - 0.5).flatten(1).double()
    images = torch.corrcoef(noise) - torch.eye(len(noise))
    assert images.abs().max() < 5 / math.sqrt(noise.shape[1])
    neighbours = torch.corrcoef(torch.stack([noise[:, 1:].flatten(), noise[:, :-1].flatten()]))
    assert neighbours[0, 1].abs() < 4 / math.sqrt(noise.numel())


@pytest.mark.parametrize("level", [0.0, 0.2, 1.0])
def test_what_leaves_the_range_is_clipped_not_redrawn(level):
    sigma = 0.5
    result = noisy(torch.full_like(GREY, level), sigma)
    for end, tail in (
        (0.0, stats.norm.cdf(-level / sigma)),
        (1.0, stats.norm.sf((1 - level) / sigma)),
    ):
        share = (result == end).double().mean().item()
        spread = math.sqrt(tail * (1 - tail) / result.numel())
        assert share == pytest.approx(tail, abs=4 * spread)


def test_the_mean_size_on_digits_is_the_papers_epsilon(mnist):
    images = mnist[1].images[:500].float() / 255
    sizes = (noisy(images, 0.5) - images).flatten(1).norm(dim=1)
    assert sizes.mean().item() == pytest.approx(9.5, abs=0.1)


def test_the_stream_goes_on_and_no_other_is_touched():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    stream = generator(0, "noise")
    first, second = (add_gaussian_noise(GREY, 0.1, stream) for _ in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first, noisy(GREY, 0.1, seed=1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("sigma", [-1e-9, -1.0, math.nan, math.inf, -math.inf])
def test_a_sigma_that_is_no_deviation_is_refused(sigma):
    with pytest.raises(ValueError, match=f"sigma must be a finite number >= 0, got {sigma}"):
        noisy(GREY, sigma)


def test_each_image_can_have_a_sigma_of_its_own():
    images = torch.rand(4, 1, 28, 28, generator=generator(0, "images"))
    sigmas = [0.0, 0.1, 0.3, 2.0]
    result = noisy(images, torch.tensor(sigmas))
    for index, sigma in enumerate(sigmas):
        assert torch.equal(result[index], noisy(images, sigma)[index])
