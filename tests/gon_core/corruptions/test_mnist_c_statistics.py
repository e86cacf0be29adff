"""Mean and standard deviation against those of the published generator."""

import pytest

from gon_core.corruptions.mnist_c import corrupt

# Over all pixels of the first 2000 test images in grey levels: mean, standard deviation, and the
# tolerance on both in percent. It is a few times what the draws alone make of one set of 2000
# images; fog has one smooth map an image, so its statistics vary the most.
PUBLISHED = {
    "shot_noise": (25.40, 68.95, 0.3),
    "impulse_noise": (47.19, 93.88, 0.5),
    "glass_blur": (30.68, 59.90, 0.3),
    "motion_blur": (30.55, 56.43, 0.3),
    "shear": (33.39, 72.88, 0.1),
    "scale": (15.10, 51.80, 0.1),
    "rotate": (30.82, 70.68, 0.1),
    "brightness": (146.74, 43.37, 0.1),
    "translate": (30.69, 75.50, 0.1),
    "stripe": (154.03, 119.83, 0.01),
    "fog": (102.69, 43.10, 3.0),
    "spatter": (35.15, 71.64, 1.0),
    "dotted_line": (36.92, 80.74, 0.3),
    "zigzag": (43.03, 85.86, 0.6),
    "canny_edges": (27.25, 78.78, 0.1),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=pytest.mark.system) if each == "fog" else each for each in PUBLISHED],
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_statistics_are_the_published_ones(digits, name, seed):
    mean, std, percent = PUBLISHED[name]
    corrupted = corrupt(digits, name, seed).double()
    assert corrupted.mean().item() == pytest.approx(mean, rel=percent / 100)
    assert corrupted.std().item() == pytest.approx(std, rel=percent / 100)
