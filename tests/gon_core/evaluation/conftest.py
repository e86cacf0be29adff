"""A few test digits, corrupted once."""

import pytest

from gon_core.config import TrainingConfig, Vanilla
from gon_core.training import new_state, train
from tests.small_model import SmallCNN


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


@pytest.fixture(scope="session")
def taught(mnist):
    """A classifier that knows most digits, and some that it does not train on."""
    training = TrainingConfig(batch_size=50, learning_rate=0.05, max_epochs=2)
    model = SmallCNN()
    list(train(new_state(model, training, 0), mnist[0][:1500], Vanilla(), training))
    return model, mnist[1][:60]
