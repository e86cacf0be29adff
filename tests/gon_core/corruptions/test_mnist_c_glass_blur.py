"""glass_blur against the sequential loop over pixels."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from gon_core.corruptions.mnist_c import FUNCTIONS
from gon_core.corruptions.mnist_c.glass_blur import swap_pixels

OFFSETS = {1: (0, -1), 2: (-1, 0), 3: (-1, -1)}


def swapped_one_by_one(image, choices):
    image = image.copy()
    height, width = image.shape
    for choice in choices:
        for r in range(height - 1, 1, -1):
            for c in range(width - 1, 1, -1):
                if choice[r, c] in OFFSETS:
                    down, right = OFFSETS[choice[r, c]]
                    there = r + down, c + right
                    image[r, c], image[there] = image[there], image[r, c]
    return image


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(3, 12),
    width=st.integers(3, 12),
    passes=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_lines_of_pixels_swap_as_the_sequential_loop_does(height, width, passes, seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.arange(height * width, dtype=torch.uint8).view(height, width, 1).repeat(1, 1, 3)
    choices = torch.randint(
        0, 8, (passes, height, width, 3), dtype=torch.uint8, generator=generator
    )
    ours = swap_pixels(pixels.clone(), choices)
    for k in range(3):
        expected = swapped_one_by_one(pixels[..., k].numpy(), choices[..., k].numpy())
        np.testing.assert_array_equal(ours[..., k].numpy(), expected)


def test_distribution_is_that_of_the_sequential_loop(digits):
    """Mean images over many draws for one digit: they show any wrong probability or direction."""
    image, draws = digits[0].numpy(), 150
    rng = np.random.default_rng(0)
    blurred = np.floor(gaussian_filter1d(image.astype(float), 0.7, axis=0, mode="nearest"))
    expected = np.mean(
        [
            gaussian_filter1d(
                swapped_one_by_one(blurred, rng.integers(0, 8, (2, 28, 28))),
                0.7,
                axis=0,
                mode="nearest",
            )
            for _ in range(draws)
        ],
        axis=0,
    )
    copies = digits[:1].float().div(255).expand(10 * draws, 28, 28)
    ours = FUNCTIONS["glass_blur"](copies, torch.Generator().manual_seed(0)) * 255
    error = ours.mean(dim=0).numpy() - expected
    noise = ours.std(dim=0).numpy() / np.sqrt(draws)
    assert (np.abs(error) <= 5 * noise + 0.5).all()


def test_swaps_keep_every_grey_level(digits):
    pixels = digits[:50].permute(1, 2, 0).contiguous()
    choices = torch.randint(0, 8, (2, 28, 28, 50), generator=torch.Generator().manual_seed(0))
    swapped = swap_pixels(pixels.clone(), choices.to(torch.uint8))
    assert torch.equal(
        swapped.flatten(0, 1).sort(dim=0).values, pixels.flatten(0, 1).sort(dim=0).values
    )
