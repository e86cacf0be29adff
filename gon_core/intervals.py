"""Confidence intervals of a proportion and of a mean over seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A 95 % confidence interval; ``low`` and ``high`` are in the unit of the estimate."""

    estimate: float
    low: float
    high: float


def wilson_interval(correct: int, count: int) -> Interval:
    """Return the accuracy in percent and its 95 % Wilson score interval.

    Args:
        correct: right answers, 0..count.
        count: images, >= 1.

    References:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not 0 <= correct <= count or count < 1:
        raise ValueError(f"need 0 <= correct <= count and count >= 1, got {correct} of {count}")
    z = statistics.NormalDist().inv_cdf(0.975)
    p = correct / count
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return Interval(100 * p, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half))


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean over seeds, in the unit of ``values``.

    It is the standard deviation (n - 1 in the denominator) over sqrt(n); NaN for one value.
    """
    if not values:
        raise ValueError("need at least one value")
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def mean_interval(values: list[float]) -> Interval:
    """Return the mean over seeds and its 95 % Student t interval.

    One value has no interval: both ends are NaN, and reports leave it out.
    """
    if not values:
        raise ValueError("need at least one value")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy import stats  # slow: trials, which need no interval, do not pay for it

    half = float(stats.t.ppf(0.975, len(values) - 1)) * standard_error(values)
    return Interval(mean, mean - half, mean + half)
