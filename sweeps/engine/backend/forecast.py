"""What trials are expected to need yet, by those that ended and those that run."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


class Lengths:
    """How long trials are, in seconds, for frequent means."""

    def __init__(self, values: Sequence[float] = ()) -> None:
        self._values = sorted(values)
        self._sums = [0.0, *accumulate(self._values)]

    def above(self, length: float) -> tuple[int, float]:
        """Return how many trials are longer than ``length``, and the sum of these."""
        first = bisect_right(self._values, length)
        return len(self._values) - first, self._sums[-1] - self._sums[first]

    @property
    def longest(self) -> float | None:
        """The longest; None of none."""
        return self._values[-1] if self._values else None


@dataclass(frozen=True)
class Forecast:
    """What is expected, in seconds."""

    mean: float | None  # of a trial that has not begun; None if nothing is known
    rest: float  # that all running and waiting trials together need yet


def forecast(
    ended: Lengths, lasted: Sequence[float], running: Lengths, waiting: int, whole: float | None
) -> Forecast:
    """Return what is expected of trials at one moment.

    A running one is expected to need as long as the mean of those that are longer than it has
    lasted: one that ASHA has not pruned so far is no short one.

    Args:
        ended: how long trials were that have.
        lasted: how long each running one has run.
        running: how long each of these is as a whole, at most; or has lasted, if that is more.
        waiting: how many have not run yet.
        whole: how long one of these is at most; None if nothing is known.
    """

    def mean_above(seconds: float) -> float | None:
        found = [ended.above(seconds), running.above(seconds)]
        if whole is not None and whole > seconds:
            found.append((waiting, waiting * whole))
        count = sum(count for count, _ in found)
        return sum(total for _, total in found) / count if count else None

    mean = mean_above(0.0)
    if mean is None:
        mean = whole
    rests = [(mean_above(seconds) or seconds) - seconds for seconds in lasted]
    return Forecast(mean, waiting * (mean or 0.0) + sum(rests))
