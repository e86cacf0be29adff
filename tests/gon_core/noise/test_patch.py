"""Patches: square, anywhere, cut off by the border, and noisy only inside."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gon_core.noise import add_gaussian_noise, add_patch_gaussian_noise
from gon_core.noise.patch import draw_patches
from gon_core.seeding import generator


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 40), height=st.integers(1, 30), width=st.integers(1, 30), seed=st.integers()
)
def test_a_patch_is_a_square_that_only_the_border_cuts_off(size, height, width, seed):
    images = torch.zeros(3, 2, height, width)
    patches = draw_patches(images, size, generator(seed, "noise"))
    assert patches.shape == (3, 1, height, width)
    for patch in patches[:, 0]:
        for line, length in ((patch.any(1), height), (patch.any(0), width)):
            inside = line.nonzero()[:, 0]
            first, last = inside[0].item(), inside[-1].item()
            assert len(inside) == last - first + 1, "a gap"
            if first > 0 and last < length - 1:
                assert len(inside) == size
            assert min((size + 1) // 2, length) <= len(inside) <= size
        assert torch.equal(patch, patch.any(1)[:, None] & patch.any(0)[None, :])


@pytest.mark.parametrize("size", [1, 4, 7])
def test_every_pixel_is_the_centre_equally_often(size):
    patches = draw_patches(torch.zeros(8000, 1, 9, 9), size, generator(0, "noise"))
    # Where a patch of the same parity starts tells its centre, unless the border cut it off.
    free = patches[:, 0].any(1).sum(1) == size
    starts = patches[free, 0].any(1).int().argmax(1)
    counts = torch.bincount(starts)
    assert len(counts) == 9 - size + 1
    assert stats.chisquare(counts.tolist()).pvalue > 0.01
    assert free.float().mean().item() == pytest.approx((9 - size + 1) / 9, abs=0.03)
    reference = sum(min(9, c - size // 2 + size) - max(0, c - size // 2) for c in range(9)) / 9
    assert patches.sum((1, 2, 3)).float().mean().item() == pytest.approx(reference**2, rel=0.04)


def test_noise_is_inside_the_patch_alone(mnist):
    images = mnist[0].images[:20].float() / 255
    sigmas = torch.linspace(0.1, 1, 20)
    result = add_patch_gaussian_noise(images, sigmas, 10, generator(0, "noise"))
    stream = generator(0, "noise")
    patches = draw_patches(images, 10, stream)
    expected = add_gaussian_noise(images, sigmas, stream)
    changed = result != images
    assert not (changed & ~patches).any()
    assert torch.equal(result[patches], expected[patches])
    assert changed.any((1, 2, 3)).all() and ((result >= 0) & (result <= 1)).all()


def test_a_patch_larger_than_twice_the_image_is_gaussian_noise():
    images = torch.full((5, 1, 8, 8), 0.5)
    result = add_patch_gaussian_noise(images, 0.2, 16, generator(0, "noise"))
    stream = generator(0, "noise")
    draw_patches(images, 16, stream)
    assert torch.equal(result, add_gaussian_noise(images, 0.2, stream))


@pytest.mark.parametrize("size", [0, -3])
def test_a_patch_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match=f"patch_size must be at least 1, got {size}"):
        add_patch_gaussian_noise(torch.zeros(1, 1, 2, 2), 0.1, size, generator(0, "noise"))


def test_each_image_may_have_a_patch_of_its_own_size():
    images = torch.zeros(5, 3, 12, 12)
    sizes = torch.tensor([0, 1, 3, 4, 40])
    patches = draw_patches(images, sizes, generator(4, "noise"))
    for index, size in enumerate(sizes.tolist()):
        whole = draw_patches(images, size or 1, generator(4, "noise"))[index]
        assert torch.equal(patches[index], whole if size else torch.zeros_like(whole))
