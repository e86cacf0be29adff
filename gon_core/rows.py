"""What an evaluation reports: rows of accuracies. Imports no torch, so that records load fast."""

import statistics
from dataclasses import dataclass

from gon_core.intervals import Interval, wilson_interval

CLEAN = "clean"  # stands for the corruption of images that have none


@dataclass(frozen=True)
class AccuracyRow:
    """One accuracy: top-1 and, where it was counted, top-5.

    Attributes:
        split: ``validation`` or ``test``.
        corruption: its name, or ``clean``.
        severity: 0 for clean images, else 1..5 (MNIST-C has the one severity 1).
        correct: images classified right.
        count: images in all.
        correct_top5: images whose label is among the five first answers; None where it was not
            counted.
    """

    split: str
    corruption: str
    severity: int
    correct: int
    count: int
    correct_top5: int | None = None

    @property
    def top1(self) -> float:
        """Accuracy in percent."""
        return 100 * self.correct / self.count

    @property
    def interval(self) -> Interval:
        """Accuracy in percent with its binomial 95 % interval."""
        return wilson_interval(self.correct, self.count)

    @property
    def top5(self) -> float | None:
        """Top-5 accuracy in percent; None where it was not counted."""
        return None if self.correct_top5 is None else 100 * self.correct_top5 / self.count

    @property
    def top5_interval(self) -> Interval | None:
        """Top-5 accuracy in percent with its binomial 95 % interval."""
        return None if self.correct_top5 is None else wilson_interval(self.correct_top5, self.count)


def mean_top1(rows: list[AccuracyRow], split: str) -> float:
    """Return the plain mean accuracy over the corruptions of ``split``, in percent."""
    return statistics.fmean(
        row.top1 for row in rows if row.split == split and row.corruption != CLEAN
    )
