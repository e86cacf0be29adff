"""shot_noise, impulse_noise and spatter in distribution, and the blur they build on."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.stats import chisquare, poisson

from gon_core.corruptions.gaussian import blur_matrix
from gon_core.corruptions.mnist_c import FUNCTIONS


def flat(level, count=200):
    return torch.full((count, 28, 28), level)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("level", [0.02, 0.3, 0.7, 1.0])
def test_shot_noise_counts_are_clipped_poisson(level):
    counts = (3 * FUNCTIONS["shot_noise"](flat(level), seeded())).round().long()
    observed = torch.bincount(counts.flatten(), minlength=4).numpy()
    chances = poisson.pmf([0, 1, 2], 3 * level)
    expected = np.append(chances, 1 - chances.sum()) * counts.numel()
    assert chisquare(observed, expected).pvalue > 1e-3


def test_shot_noise_leaves_black_alone():
    assert FUNCTIONS["shot_noise"](flat(0.0), seeded()).sum() == 0


def test_impulse_noise_replaces_17_percent_by_black_or_white():
    noisy = FUNCTIONS["impulse_noise"](flat(0.5), seeded())
    observed = [(noisy == value).sum().item() for value in (0.0, 0.5, 1.0)]
    expected = np.array([0.085, 0.83, 0.085]) * noisy.numel()
    assert chisquare(observed, expected).pvalue > 1e-3


def test_spatter_is_the_image_by_image_version():
    """On the same normal draws, which both take first from their generator."""
    noise = torch.randn(100, 28, 28, generator=seeded()).double().numpy() * 0.3 + 0.65
    expected = []
    for image in noise:
        liquid = gaussian_filter(image, 1.0, mode="nearest")
        drops = gaussian_filter((liquid > 0.65).astype(float), 1.5, mode="nearest")
        drops[drops < 0.8] = 0
        expected.append((1 - drops) + 63 / 255 * drops)
    ours = FUNCTIONS["spatter"](flat(1.0, 100), seeded()).numpy()
    assert (np.abs(ours - np.stack(expected)) < 1e-4).mean() > 0.999


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5])
def test_blur_matrix_is_scipys_filter(sigma):
    image = torch.rand(28, 28, generator=seeded(), dtype=torch.float64)
    nearest = blur_matrix(28, sigma, beyond_edge="nearest", dtype=torch.float64) @ image
    expected = gaussian_filter1d(image.numpy(), sigma, axis=0, mode="nearest")
    np.testing.assert_allclose(nearest.numpy(), expected, atol=1e-12)
    ignore = blur_matrix(28, sigma, beyond_edge="ignore", dtype=torch.float64) @ image
    weight = gaussian_filter1d(np.ones((28, 28)), sigma, axis=0, mode="constant")
    expected = gaussian_filter1d(image.numpy(), sigma, axis=0, mode="constant") / weight
    np.testing.assert_allclose(ignore.numpy(), expected, atol=1e-12)
