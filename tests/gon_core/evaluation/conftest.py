"""A few test digits, corrupted once."""

import pytest

from tests.eager import use_eager_kernels


@pytest.fixture(autouse=True, scope="module")
def kernels_are_eager():
    with pytest.MonkeyPatch.context() as patch:
        use_eager_kernels(patch)
        yield


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
