"""GNT_mult, Speckle, Ford and Patch Gaussian: which images get which noise."""

from dataclasses import replace

import pytest
import torch

from gon_core.config import Ford, GNTMult, PatchGaussian, Speckle
from gon_core.noise import (
    add_gaussian_noise,
    add_patch_gaussian_noise,
    add_speckle_noise,
    sigma,
)
from gon_core.seeding import generator


@pytest.mark.parametrize(
    ("method", "add_noise"),
    [(GNTMult(), add_gaussian_noise), (Speckle(), add_speckle_noise)],
    ids=["gnt_mult", "speckle"],
)
@pytest.mark.parametrize(("count", "clean"), [(40, 20), (41, 20), (1, 0)])
def test_half_of_the_batch_gets_one_of_the_sigmas_each(
    method, add_noise, count, clean, digits, shown
):
    data = digits(count)
    (seen,) = shown(method, data)
    images = data.images.float() / 255
    stream = generator(0, "noise")
    sigmas = sigma.choose(torch.tensor(method.sigmas), images[clean:], stream)
    assert torch.equal(seen[:clean], images[:clean])
    assert torch.equal(seen[clean:], add_noise(images[clean:], sigmas, stream))
    assert (seen[clean:] != images[clean:]).flatten(1).any(1).all()
    assert count < 40 or len(sigmas.unique()) == 5


def test_the_share_of_noise_can_be_changed(digits, shown):
    data = digits(40)
    images = data.images.float() / 255
    for method in (GNTMult(noisy_share=0.25), Speckle(noisy_share=0.25)):
        changed = (shown(method, data)[0] != images).flatten(1).any(1)
        assert changed.tolist() == [False] * 30 + [True] * 10


def test_a_single_sigma_in_all_images_has_its_deviation(digits, shown):
    data = replace(digits(60), images=torch.full((60, 1, 28, 28), 128, dtype=torch.uint8))
    for method, deviation in (
        (GNTMult(sigmas=(0.1,), noisy_share=1), 0.1),
        (Speckle(sigmas=(0.2,), noisy_share=1), 0.2 * 128 / 255),
    ):
        assert shown(method, data)[0].std().item() == pytest.approx(deviation, rel=0.02)


def test_ford_gives_every_image_a_sigma_of_its_own(digits, shown):
    data = digits(50)
    (seen,) = shown(Ford(sigma_max=0.3), data)
    images = data.images.float() / 255
    stream = generator(0, "noise")
    sigmas = sigma.uniform(0.3, images, stream)
    assert torch.equal(seen, add_gaussian_noise(images, sigmas, stream))
    assert len(sigmas.unique()) == 50


def test_patch_gaussian_gives_every_image_a_patch_of_its_own(digits, shown):
    data = digits(50)
    (seen,) = shown(PatchGaussian(patch_size=9, sigma_max=0.5), data)
    images = data.images.float() / 255
    stream = generator(0, "noise")
    sigmas = sigma.uniform(0.5, images, stream)
    assert torch.equal(seen, add_patch_gaussian_noise(images, sigmas, 9, stream))
    changed = (seen != images).flatten(1).sum(1)
    assert (changed > 0).all() and (changed <= 81).all()


def test_patch_gaussian_may_draw_the_size_of_each_patch(digits, shown):
    data = digits(400)
    (seen,) = shown(PatchGaussian(patch_size=10, random_size=True), data)
    changed = (seen != data.images.float() / 255).flatten(2).any(1).view(-1, 28, 28)
    sides = changed.any(1).sum(1)
    assert sides.max() <= 9 and {0, 9} <= set(sides.tolist())
    assert sides.float().mean().item() == pytest.approx(4.2, abs=0.5)  # 4.5, less at the border


@pytest.mark.parametrize("method", [Ford(sigma_max=0), PatchGaussian(sigma_max=0)])
def test_without_noise_the_images_are_clean(method, digits, shown):
    data = digits(20)
    assert torch.equal(shown(method, data)[0], data.images.float() / 255)
