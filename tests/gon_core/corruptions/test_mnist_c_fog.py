"""fog and its plasma against point by point versions."""

import numpy as np
import pytest
import torch

from gon_core.corruptions.mnist_c import FUNCTIONS
from gon_core.corruptions.mnist_c.fog import _uniform_draws
from gon_core.corruptions.plasma import plasma_patches


def plasma_point_by_point(size, uniform):
    """The definition; `uniform(count)` gives draws in [-1, 1) for the points of one kind."""
    heights = np.zeros((size, size))
    step, wibble = size, 100.0
    while step >= 2:
        half = step // 2
        for first_row, first_column in ((half, half), (0, half), (half, 0)):
            rows = range(first_row, size, step)
            columns = range(first_column, size, step)
            draws = iter(uniform(len(rows) * len(columns)))
            diagonal = first_row == first_column
            offsets = (
                ((-half, -half), (-half, half), (half, -half), (half, half))
                if diagonal
                else ((-half, 0), (half, 0), (0, -half), (0, half))
            )
            for r in rows:
                for c in columns:
                    around = [heights[(r + dr) % size, (c + dc) % size] for dr, dc in offsets]
                    heights[r, c] = np.mean(around) + wibble**2 * next(draws)
        step, wibble = half, wibble / 1.4
    heights -= heights.min()
    return heights / heights.max()


@pytest.mark.parametrize("size", [4, 8, 32])
def test_plasma_is_the_point_by_point_one(size):
    draws = torch.rand(1, size * size, generator=torch.Generator().manual_seed(size)) * 2 - 1
    ours = plasma_patches(draws.clone(), size, 1.4)[0]
    remaining = iter(draws[0].tolist())
    expected = plasma_point_by_point(size, lambda count: [next(remaining) for _ in range(count)])
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_a_patch_is_the_corner_of_the_whole_map():
    draws = torch.rand(3, 256**2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = plasma_patches(draws.clone(), 256, 1.4)
    assert whole.amin(dim=(1, 2)).tolist() == [0.0] * 3
    assert whole.amax(dim=(1, 2)).tolist() == [1.0] * 3
    for patch in (27, 28):
        assert torch.equal(plasma_patches(draws.clone(), patch, 1.4), whole[:, :patch, :patch])


def test_draws_are_uniform():
    draws = _uniform_draws(100, 4096, torch.Generator().manual_seed(0)).double()
    assert draws.min() >= -1 and draws.max() < 1
    assert draws.mean().item() == pytest.approx(0, abs=0.005)
    assert draws.var().item() == pytest.approx(1 / 3, rel=0.01)
    neighbours = torch.corrcoef(torch.stack([draws[:, :-1].flatten(), draws[:, 1:].flatten()]))
    assert abs(neighbours[0, 1].item()) < 0.01


def test_the_brightest_pixel_sets_the_strength():
    """Twice the definition at one seed: the plasma is the same, so it must cancel."""
    bright, dim = torch.zeros(1, 28, 28), torch.zeros(1, 28, 28)
    bright[0, 5, 5], dim[0, 5, 5] = 1.0, 0.5
    fogs = [
        FUNCTIONS["fog"](image, torch.Generator().manual_seed(0)) * (image.max() + 3) / image.max()
        - image
        for image in (bright, dim)
    ]
    np.testing.assert_allclose(fogs[0].numpy(), fogs[1].numpy(), atol=1e-5)
