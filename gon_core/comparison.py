"""Paired tests of two configurations: over seeds, and of two models on the same images.

Pairing takes out what both share (the seed, the image), so that a difference is seen which is far
smaller than the intervals of the two accuracies. Imports no torch.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gon_core.intervals import Interval, mean_interval, standard_error


class PairedDifference(NamedTuple):
    """How much the second configuration is above the first.

    Attributes:
        difference: mean over the pairs, with its 95 % interval, in the unit of the values.
        p_value: two-sided, of no difference; NaN where the spread is unknown: one pair, or
            several with the same difference.
        pairs: seeds that both configurations have.
    """

    difference: Interval
    p_value: float
    pairs: int


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> PairedDifference:
    """Compare two configurations over the seeds that both were run with, by a paired t-test.

    Args:
        first: accuracy by seed, in percent.
        second: the same of the other configuration; a seed that only one has is left out.

    Raises:
        ValueError: no common seed, or a value of one that is not finite.

    References:
        Student, "The probable error of a mean", 1908.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise ValueError(f"no common seed: {sorted(first)} and {sorted(second)}")
    differences = [second[seed] - first[seed] for seed in seeds]
    faulty = [
        seed for seed, value in zip(seeds, differences, strict=True) if not math.isfinite(value)
    ]
    if faulty:
        raise ValueError(f"values must be finite, those of the seeds {faulty} are not")
    interval = mean_interval(differences)
    error = standard_error(differences)
    if len(seeds) == 1:
        p_value = math.nan
    elif error == 0:  # a few seeds on few images: equal by chance, not without spread
        p_value = 1.0 if interval.estimate == 0 else math.nan
    else:
        from scipy import stats  # slow, as in intervals

        p_value = 2 * float(stats.t.sf(abs(interval.estimate) / error, len(seeds) - 1))
    return PairedDifference(interval, p_value, len(seeds))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return McNemar's exact two-sided p-value of two models being right equally often.

    Of the images that exactly one of the models classifies right, each is as likely to be the
    first's as the second's if the models are equally good: Binomial(b + c, 1/2).

    Args:
        only_first: b, images that the first model classifies right and the second wrong.
        only_second: c, images that the second model classifies right and the first wrong.

    Returns:
        From 0 to 1; 1 where the models are right on the same images.

    Raises:
        ValueError: a negative count.

    References:
        Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", 1947.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts must be >= 0, got {only_first} and {only_second}")
    if only_first == only_second:
        return 1.0
    from scipy import stats  # slow, as in intervals

    tail = stats.binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)
    return min(1.0, 2 * float(tail))
