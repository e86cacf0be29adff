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
    return _wilson(correct / count, float(count))


def _wilson(p: float, count: float) -> Interval:
    z = statistics.NormalDist().inv_cdf(0.975)
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return Interval(100 * p, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half))


def effective_count(mean: float, deviation: float, count: int) -> float:
    """Return how many right or wrong answers would make a mean as certain as ``count`` shares.

    The mean over corruptions is, for each image, a share of right answers: closer to the mean than
    right or wrong, and the answers of one image are not independent.

    Args:
        mean: of the shares, in percent.
        deviation: their standard deviation over images, in percent.
        count: images.
    """
    if not deviation:
        return float(count)
    p = mean / 100
    return max(1.0, p * (1 - p) * count / (deviation / 100) ** 2)


def shares_interval(mean: float, deviation: float, count: int) -> Interval:
    """Return the mean of ``count`` shares and its 95 % interval, in percent: Wilson's.

    See ``effective_count``.
    """
    return _wilson(mean / 100, effective_count(mean, deviation, count))._replace(estimate=mean)


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


def percent_interval(values: list[float]) -> Interval:
    """Return the mean over seeds of percentages, and a 95 % Student t interval within 0 to 100.

    The interval is that of the angles whose squared sines the percentages are: on this scale the
    spread over seeds depends little on the percentage, and no interval leaves what is possible. One
    value has no interval: both ends are NaN.
    """
    angles = [math.asin(math.sqrt(min(max(value, 0.0), 100.0) / 100)) for value in values]
    _, low, high = mean_interval(angles)
    mean, right_angle = statistics.fmean(values), math.pi / 2
    if math.isnan(low):
        return Interval(mean, low, high)
    low, high = (100 * math.sin(min(max(end, 0.0), right_angle)) ** 2 for end in (low, high))
    return Interval(mean, min(low, mean), max(high, mean))


def mean_interval_of_part(
    values: list[float], count: int, images: int, certain: int | float
) -> Interval:
    """Return the mean accuracy over seeds and the 95 % interval of it on a whole test set.

    All seeds see the same part of the set: their spread does not show its choice, which is added
    as Wilson's interval with the correction for a finite population.

    Args:
        values: of each seed, in percent.
        count: images of the part.
        images: of the whole set.
        certain: ``effective_count`` of the part; ``count`` itself for right or wrong answers.
    """
    mean, low, high = percent_interval(values)
    _, least, greatest = _wilson(mean / 100, certain)
    part = math.sqrt(max(0.0, 1 - count / images))
    below = math.hypot(mean - low, part * (mean - least))
    above = math.hypot(high - mean, part * (greatest - mean))
    return Interval(mean, max(0.0, mean - below), min(100.0, mean + above))
