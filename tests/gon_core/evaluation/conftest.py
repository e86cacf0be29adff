"""A few test digits, corrupted once."""

import pytest


@pytest.fixture(scope="session")
def digits(mnist):
    """The first 40 test digits."""
    return mnist[1][:40]


@pytest.fixture(scope="session")
def evaluation_sets(digits):
    """The same digits corrupted as validation and as test images, by (split, seed)."""
    from gon_core.evaluation import build

    return {(s, seed): build(digits, s, seed) for s in ("validation", "test") for seed in (0, 1)}
