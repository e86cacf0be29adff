"""dotted_line and zigzag against every line they can draw, painted pixel by pixel."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from gon_core.corruptions.mnist_c import FUNCTIONS


def painted(c0, r0, c1, r1, canvas):
    """Adds the soft line from (c0, r0) up to but without column c1 to a canvas, clipped."""
    for c in range(max(0, math.floor(c0)), min(28, math.ceil(c1))):
        middle = r0 + (r1 - r0) * (c - c0) / (c1 - c0)
        for r in range(28):
            distance = abs(r - middle)
            if distance < 2.3:
                soft = min(max(1 + math.log(1 - distance / 2.3), 0.0), 1.0)
                canvas[r, c] = min(canvas[r, c] + soft, 1.0)
    return canvas


def dotted(r0, r1):
    canvas = painted(0, r0, 27, r1, np.zeros((28, 28)))
    canvas[:, [c for c in range(28) if c % 4 < 2]] = 0
    return canvas


def zigzagged(r0, rise):
    tilt = math.atan2(rise, 23)
    length = 23 / math.cos(tilt)
    corners = [(0.0, 0.0)]
    corners += [(2.0 + 4 * k, 2.0 if k % 2 == 0 else -2.0) for k in range(6)]
    corners += [(length, -1 / (length - 20))]
    ends = [
        (2 + u * math.cos(tilt) - v * math.sin(tilt), r0 + u * math.sin(tilt) + v * math.cos(tilt))
        for u, v in corners
    ]
    canvas = np.zeros((28, 28))
    for start, end in itertools.pairwise(ends):
        painted(*start, *end, canvas)
    return canvas


def assert_each_is_one_of(drawn, candidates):
    """Every drawn image is among the candidates, which are equally probable."""
    distances = torch.cdist(drawn.flatten(1).double(), candidates.flatten(1))
    nearest = distances.argmin(dim=1)
    worst = (drawn - candidates[nearest]).abs().amax()
    assert worst < 1e-3
    counts = torch.bincount(nearest, minlength=len(candidates))
    assert chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.system
def test_dotted_lines_join_two_random_rows():
    candidates = torch.from_numpy(
        np.stack([dotted(r0, r1) for r0 in range(27) for r1 in range(27)])
    )
    black = torch.zeros(6000, 28, 28)
    lines = FUNCTIONS["dotted_line"](black, torch.Generator().manual_seed(0))
    assert_each_is_one_of(lines, candidates)


def test_zigzags_start_at_a_random_row_and_rise_at_random():
    candidates = torch.from_numpy(
        np.stack([zigzagged(r0, rise) for r0 in range(27) for rise in range(-5, 5)])
    )
    black = torch.zeros(3000, 28, 28)
    lines = FUNCTIONS["zigzag"](black, torch.Generator().manual_seed(0))
    assert_each_is_one_of(lines, candidates)


def test_lines_are_added_to_the_digit_and_clipped(digits):
    images = digits[:50].float() / 255
    for name in ("dotted_line", "zigzag"):
        on_black = FUNCTIONS[name](torch.zeros_like(images), torch.Generator().manual_seed(0))
        on_digit = FUNCTIONS[name](images, torch.Generator().manual_seed(0))
        assert torch.allclose(on_digit, (images + on_black).clamp(max=1.0), atol=1e-6)
