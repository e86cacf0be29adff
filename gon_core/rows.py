"""What an evaluation reports, as rows. Imports no torch, so that records load fast."""

import statistics
from dataclasses import dataclass

from gon_core.intervals import Interval, wilson_interval

CLEAN = "clean"  # stands for the corruption of images that have none
SEVERITIES_SPLIT = "test_severities"
"""The split of test images at five severities, an extension of MNIST-C; in no published mean."""


@dataclass(frozen=True)
class AccuracyRow:
    """One accuracy: top-1 and, where it was counted, top-5.

    Attributes:
        split: ``validation``, ``test`` or ``test_severities``.
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


@dataclass(frozen=True)
class AttackRow:
    """The accuracy under one attack.

    Attributes:
        attack: its name.
        norm: ``linf`` or ``l2``.
        size: largest perturbation in that norm, on images in [0, 1].
        correct: images classified right with and without the attack.
        count: images in all.
    """

    attack: str
    norm: str
    size: float
    correct: int
    count: int

    @property
    def top1(self) -> float:
        """Accuracy under attack in percent."""
        return 100 * self.correct / self.count

    @property
    def interval(self) -> Interval:
        """Accuracy under attack in percent with its binomial 95 % interval."""
        return wilson_interval(self.correct, self.count)


@dataclass(frozen=True)
class PerturbationSizeRow:
    """The median perturbation size epsilon* of one kind of noise, and how it was found.

    Sizes are l2 norms after clipping, on images in [0, 1].

    Attributes:
        noise: its name.
        median: the least size at which half of the images are misclassified; infinity where it
            takes more than all noise. At least half are misclassified at it or at less in any case.
            It is at most ``precision`` too large if every image that is right at it is right at all
            smaller sizes, which ``non_monotone`` tells; and after a search for each image if none
            is misclassified between two radii of its grid alone.
        low: lower end of the median's distribution-free 95 % confidence interval.
        high: upper end.
        count: images in all.
        already_wrong: images misclassified without noise, whose size is 0.
        never: images that are right at the end of their noise's reach, whose size is infinity; None
            where not all of them were looked at there.
        saturated: images that cannot be moved by the median: all of their pixels that have noise
            clip before. Beyond that they stay as they are, at the largest size they have.
        sampled: images right at the median that were looked at at smaller sizes, too; 0 where the
            size of every image was asked for.
        non_monotone: those of them that are misclassified at a smaller size.
        per_image: whether the size of every image was searched, and not the median alone: because
            it was asked for, or because too many were right again at the median.
        forwards: images that went through the classifier in all.
        precision: of the sizes.
        converged: whether the generator that makes the noise had converged; the others have none.
    """

    noise: str
    median: float
    low: float
    high: float
    count: int
    already_wrong: int
    never: int | None
    saturated: int
    sampled: int
    non_monotone: int
    per_image: bool
    forwards: int
    precision: float
    converged: bool = True

    @property
    def interval(self) -> Interval:
        """The median with its 95 % confidence interval."""
        return Interval(self.median, self.low, self.high)

    @property
    def share_non_monotone(self) -> float:
        """Images that are right again at the median, in percent of those looked at."""
        return 100 * self.non_monotone / self.sampled if self.sampled else 0.0


def mean_top1(rows: list[AccuracyRow], split: str) -> float:
    """Return the plain mean accuracy over the corruptions of ``split``, in percent."""
    return statistics.fmean(
        row.top1 for row in rows if row.split == split and row.corruption != CLEAN
    )
