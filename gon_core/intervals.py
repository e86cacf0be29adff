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


def mean_interval_of_part(values: list[float], count: int, images: int) -> Interval:
    """Return the mean accuracy over seeds and the 95 % interval of it on a whole test set.

    All seeds see the same part of the set: their spread does not show its choice, which is added
    as Wilson's interval with the correction for a finite population.

    Args:
        values: of each seed, in percent.
        count: images of the part.
        images: of the whole set.
    """
    mean, low, high = mean_interval(values)
    _, least, greatest = wilson_interval(round(mean / 100 * count), count)
    part = math.sqrt(max(0.0, 1 - count / images))
    below = math.hypot(mean - low, part * (mean - least))
    above = math.hypot(high - mean, part * (greatest - mean))
    return Interval(mean, mean - below, mean + above)
