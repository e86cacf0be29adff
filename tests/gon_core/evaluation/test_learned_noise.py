"""The portrait of a noise generator: what it says of Gaussian noise, and of noise that is not."""

import pytest
import torch

from gon_core.evaluation import learned_noise
from gon_core.noise import NoiseGenerator


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images():
    levels = torch.rand((64, 1, 28, 28), generator=stream(1)).mul(255)
    return levels.to(torch.uint8)


def portrait(generator, images, epsilon=8.0):
    return learned_noise.describe(generator, images, epsilon, stream())


def test_a_fresh_generator_makes_gaussian_noise_without_correlation(images):
    learned = portrait(NoiseGenerator(1, 4, 1, stream()), images)
    centres = (learned.edges[1:] + learned.edges[:-1]) / 2
    gaussian = torch.exp(-(centres**2) / 2) / (2 * torch.pi) ** 0.5
    assert (learned.density - gaussian).abs().max() < 0.02
    width = learned.edges[1] - learned.edges[0]
    assert (learned.density.sum() * width).item() == pytest.approx(1, abs=1e-3)
    assert learned.correlation[2, 2].item() == pytest.approx(1)
    others = learned.correlation.flatten()[torch.arange(25) != 12]
    assert others.abs().max() < 0.03


def test_a_3x3_generator_correlates_neighbours_more_than_farther_pixels(images):
    generator = NoiseGenerator(1, 2, 3, stream())
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(30)  # as drawn it adds next to nothing
    correlation = portrait(generator, images).correlation
    ring = torch.ones(5, 5, dtype=torch.bool)
    ring[1:4, 1:4] = False
    assert correlation[1:4, 1:4].abs().mean() > 0.2 and correlation[ring].abs().max() < 0.04


def test_the_samples_have_the_size_epsilon(images):
    learned = portrait(NoiseGenerator(1, 4, 1, stream()), images, epsilon=6.0)
    assert learned.noisy.shape == learned.clean.shape == (16, 1, 28, 28)
    difference = (learned.noisy.float() - learned.clean.float()) / 255
    assert difference.flatten(1).norm(dim=1).mean().item() == pytest.approx(6.0, abs=0.05)


def test_gaussian_sizes_rise_with_sigma_and_match_the_papers_epsilon(mnist):
    _, test = mnist
    clean = test.images[:256].float() / 255
    sizes = learned_noise.gaussian_sizes(clean, torch.tensor([0.1, 0.5, 1.0]), stream())
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[1].item() == pytest.approx(9.5, abs=0.15)


def test_what_is_dumped_is_loaded(images):
    generator = NoiseGenerator(1, 3, 1, stream())
    learned = portrait(generator, images)
    loaded = learned_noise.load(learned_noise.dump(learned, generator))
    for name, value in vars(learned).items():
        assert torch.equal(getattr(loaded, name), value), name
