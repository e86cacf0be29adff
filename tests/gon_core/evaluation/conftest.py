"""A few test digits, corrupted once."""

import pytest


@pytest.fixture(scope="session")
def digits(mnist):
    """The first 40 test digits."""
    return mnist[1][:40]


@pytest.fixture(scope="session")
def evaluation_sets(digits):
    """The same digits corrupted as validation and as test images, by (split, seed)."""
    from gon_core import benchmarks
    from gon_core.evaluation import build

    suites = benchmarks.get("mnist").suites
    splits = ("validation", "test")
    return {(s, seed): build(digits, s, suites[s], seed) for s in splits for seed in (0, 1)}
