"""Five severities, an extension: the third is the published set, and each is stronger."""

import inspect
import itertools

import pytest
import torch

from gon_core.corruptions.mnist_c import (
    BLOCK,
    CORRUPTIONS,
    FUNCTIONS,
    PUBLISHED_SEVERITY,
    SEVERITIES,
    corrupt,
)
from gon_core.corruptions.mnist_c.severities import STRENGTHS

EVERY = pytest.mark.parametrize("name", CORRUPTIONS)
EVERY_SEVERITY = pytest.mark.parametrize("severity", SEVERITIES)


def test_every_corruption_has_five_strengths_and_no_other_has():
    assert SEVERITIES == (1, 2, 3, 4, 5) and PUBLISHED_SEVERITY == 3
    assert tuple(STRENGTHS) == CORRUPTIONS
    assert {len(strengths) for strengths in STRENGTHS.values()} == {5}


@EVERY
def test_the_published_severity_is_the_function_with_its_defaults(name, digits):
    defaults = inspect.signature(FUNCTIONS[name]).parameters
    published = STRENGTHS[name][PUBLISHED_SEVERITY - 1]
    assert published == {key: defaults[key].default for key in published}
    images = digits[:60]
    assert torch.equal(corrupt(images, name, 3, severity=3), corrupt(images, name, 3))


@EVERY
def test_each_severity_is_farther_from_the_clean_image(name, digits):
    """The mean l2 distance is the strength."""
    images = digits[:BLOCK].float()
    distances = [
        float(
            (corrupt(digits[:BLOCK], name, 3, severity=severity) - images).norm(dim=(1, 2)).mean()
        )
        for severity in SEVERITIES
    ]
    assert distances == sorted(set(distances)) and len(distances) == 5


@pytest.mark.system
@EVERY
@pytest.mark.parametrize("severity", [1, 5])
def test_a_prefix_and_a_shard_are_corrupted_as_in_the_whole_set(name, severity, digits):
    images = digits[: BLOCK + 10].clone()
    whole = corrupt(images, name, 5, severity=severity)
    assert whole.dtype == torch.uint8 and whole.shape == images.shape
    assert torch.equal(images, digits[: BLOCK + 10])
    torch.manual_seed(4)
    assert torch.equal(corrupt(images[:7], name, 5, severity=severity), whole[:7])
    shard = corrupt(images[BLOCK:], name, 5, first=BLOCK, severity=severity)
    assert torch.equal(shard, whole[BLOCK:])


@EVERY
@EVERY_SEVERITY
def test_functions_stay_between_zero_and_one(name, severity):
    noise = torch.rand(6, 28, 28, generator=torch.Generator().manual_seed(severity))
    noise[0], noise[1] = 0.0, 1.0
    draws = torch.Generator().manual_seed(severity)
    corrupted = FUNCTIONS[name](noise, draws, **STRENGTHS[name][severity - 1])
    assert corrupted.shape == noise.shape and corrupted.dtype == torch.float32
    assert corrupted.min() >= -1e-6 and corrupted.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", ["impulse_noise", "spatter", "dotted_line", "zigzag", "stripe"])
def test_what_is_hit_is_hit_at_every_greater_severity(name, digits):
    """These share their draws, so that a greater severity adds to the same noise."""
    images = digits[:100]
    hit = [corrupt(images, name, 3, severity=severity) != images for severity in SEVERITIES]
    for milder, stronger in itertools.pairwise(hit):
        assert not (milder & ~stronger).any()
        assert (stronger & ~milder).any()


@EVERY_SEVERITY
def test_translations_go_to_the_same_side_at_every_severity(severity):
    point = torch.zeros(100, 28, 28, dtype=torch.uint8)
    point[:, 14, 14] = 255
    rows, columns = corrupt(point, "translate", 3, severity=severity).nonzero()[:, 1:].T
    published = corrupt(point, "translate", 3).nonzero()[:, 1:].T
    assert torch.equal((rows - 14) * 3, (published[0] - 14) * severity)
    assert torch.equal((columns - 14) * 3, (published[1] - 14) * severity)


@pytest.mark.parametrize("cases", [8, 24])
def test_glass_blur_swaps_in_three_cases_of_all(cases):
    """Seen at the last pixel, which no later swap reaches."""
    noise = torch.rand(4000, 28, 28, generator=torch.Generator().manual_seed(0))
    draws = torch.Generator().manual_seed(0)
    # So narrow a blur is none, but for the rounding to 8 bits.
    swapped = FUNCTIONS["glass_blur"](noise, draws, sigma=0.01, passes=1, cases=cases)
    changed = (swapped[:, -1, -1] - noise[:, -1, -1]).abs() > 1 / 255
    assert changed.float().mean().item() == pytest.approx(3 / cases, abs=0.03)


@pytest.mark.parametrize("severity", [0, 6, -1, True])
def test_other_severities_are_refused(severity, digits):
    with pytest.raises(ValueError, match=f"must be one of 1, 2, 3, 4, 5, got {severity!r}"):
        corrupt(digits[:1], "fog", 0, severity=severity)
