"""What trials are expected to need yet, by those that ended and those that run."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


class Lengths:
    """How long trials are, in seconds, for frequent means.

    Args:
        values: one a trial, in any order.
    """

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
    """What is expected of trials at one moment, in seconds.

    Attributes:
        ended: how long trials were that have.
        lasted: how long each running one has run.
        running: how long each of these is as a whole, at most; or has lasted, if that is more.
        waiting: how many have not run yet.
        whole: how long one of these is at most; None if nothing is known.
    """

    ended: Lengths
    lasted: list[float]
    running: Lengths
    waiting: int
    whole: float | None

    @property
    def mean(self) -> float | None:
        """How long a trial is expected to be that has not begun."""
        count, total = self._longer_than(0.0)
        return total / count if count else self.whole

    @property
    def rest(self) -> float:
        """What all running and waiting trials together are expected to need yet.

        Of each the mean of those that are longer than it has lasted: one that ASHA has not pruned
        so far is no short one.
        """
        rests = self.waiting * (self.mean or 0.0)
        for lasted in self.lasted:
            count, total = self._longer_than(lasted)
            rests += total / count - lasted if count else 0.0
        return rests

    def _longer_than(self, seconds: float) -> tuple[int, float]:
        found = [self.ended.above(seconds), self.running.above(seconds)]
        if self.whole is not None and self.whole > seconds:
            found.append((self.waiting, self.waiting * self.whole))
        return sum(count for count, _ in found), sum(total for _, total in found)
