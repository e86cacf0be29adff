"""The best test mean is too high, and the report says by how much."""

import numpy as np
import pytest

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import summarise
from sweeps.engine.report.summary.selection import simulated_bias

CORRELATION = 0.87  # of a seed's luck on validation and on test images, as measured on MNIST


def sweeps(true, seeds, count=300):
    """Yield made-up sweeps: the accuracies of each point, with a spread of 1 point over seeds."""
    stream = np.random.default_rng(1)
    spread = np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    for _ in range(count):
        luck = stream.multivariate_normal((0, 0), spread, (len(true), seeds))
        yield list(80 + np.array(true)[:, None, None] + luck)


@pytest.mark.system
@pytest.mark.parametrize("seeds", [pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("true", [[0.0] * 6, [0.0, 1, 2, 2, 1, 0], [0.0, 5.0, 10.0, 15.0]])
def test_the_simulated_bias_is_the_true_one_on_average(true, seeds):
    found, actual = [], []
    for points in sweeps(true, seeds):
        means = np.stack([point.mean(0) for point in points])
        best = means[:, 0].argmax()
        actual.append(means[best, 1] - 80 - true[best])
        found.append(simulated_bias(points))
    assert np.mean(found) == pytest.approx(np.mean(actual), abs=0.15)
    if max(true) == 0 and seeds == 3:
        assert np.mean(actual) > 0.5


def test_it_is_not_known_of_single_seeds_nor_of_one_point():
    assert simulated_bias([np.ones((1, 2))] * 6) is None
    assert simulated_bias([np.arange(8.0).reshape(4, 2)]) is None


def test_the_report_says_it_beside_the_accuracy(make_sweep):
    close = [(sigma, seed, "converged", 80 + seed + 0.1 * sigma)
             for sigma in (0.1, 0.2, 0.3, 0.4) for seed in range(3)]  # fmt: skip
    summary = summarise(make_sweep(close))
    said = " ".join(sentences.answer(summary, {}))
    assert "points too high: of values that are equally good the luckiest is chosen" in said
    apart = [(sigma, seed, "converged", 10 + 100 * sigma + 0.01 * seed)
             for sigma in (0.1, 0.2, 0.3, 0.4) for seed in range(3)]  # fmt: skip
    assert "too high" not in " ".join(sentences.answer(summarise(make_sweep(apart)), {}))
