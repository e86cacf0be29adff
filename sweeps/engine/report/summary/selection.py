"""How much too high the test accuracy of the best point is, since it was chosen.

It is chosen on validation images, but a seed that is lucky there is mostly lucky on test images as
well: of points that are equally good the luckiest is chosen.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from sweeps.engine.report.summary.aggregate import PointSummary
from sweeps.engine.report.summary.estimates import corrupted_rows

DRAWS = 4_000
LEAST_FREEDOM = 3  # seeds beyond the first of each point, over all points

Accuracies = Float64[np.ndarray, "seed 2"]
"""Of one point: the objective and the mean test accuracy of each seed, in percent."""


def selection_bias(points: Sequence[PointSummary]) -> float | None:
    """Return by how many percentage points the best test mean is too high, on average.

    None where it cannot be known: of one point, or where too few points have several seeds.
    """
    found = [accuracies for point in points if len(accuracies := accuracies_of(point))]
    return simulated_bias(found)


def accuracies_of(point: PointSummary) -> Accuracies:
    """Return the objective and the mean test accuracy of each seed that was measured."""
    rows = [
        (trial.objective, np.mean([row.value for row in tested]))
        for trial in point.trials
        if trial.objective is not None and (tested := corrupted_rows(trial))
    ]
    return np.array(rows, dtype=float).reshape(-1, 2)


def simulated_bias(points: Sequence[Accuracies]) -> float | None:
    """Return the mean of what the chosen point's test mean is above its true one; see above.

    Draws many sweeps whose points differ as much as these do beyond the spread over seeds, with
    that spread, and chooses in each. The spread is one for all points.
    """
    freedom = sum(len(seeds) - 1 for seeds in points)
    if len(points) < 2 or freedom < LEAST_FREEDOM:
        return None
    within = sum((seeds - seeds.mean(0)).T @ (seeds - seeds.mean(0)) for seeds in points) / freedom
    counts = np.array([len(seeds) for seeds in points])
    means = np.stack([seeds.mean(0) for seeds in points])
    # The means differ by chance as well: what is left without that is how far points are apart.
    noise = np.diag(within) * np.mean(1 / counts)
    seen = means.var(0, ddof=1)
    kept = np.sqrt(np.clip(1 - noise / np.where(seen > 0, seen, np.inf), 0, 1))
    true = means.mean(0) + kept * (means - means.mean(0))
    stream = np.random.default_rng(0)
    shape = (DRAWS, len(points))
    drawn = stream.multivariate_normal(np.zeros(2), within, shape, method="eigh")
    luck = drawn / np.sqrt(counts)[:, None]
    chosen = (true[:, 0] + luck[..., 0]).argmax(1)
    return float(luck[np.arange(DRAWS), chosen, 1].mean())
