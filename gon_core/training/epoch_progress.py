"""An epoch that has begun: what is left of it, and what was counted so far."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from jaxtyping import Float, Float64, Int64
from torch import Tensor

Learned = tuple[Float[Tensor, "own label"], Float[Tensor, ""], Int64[Tensor, " own"]]
"""Of a process's own rows as they were trained on: the logits, the mean loss, and their labels."""

Batch = TypeVar("Batch")
LabelledBatch = tuple[Float[Tensor, "batch channel height width"], Int64[Tensor, " batch"]]
"""Images in [0, 1] and their classes."""


@dataclass
class EpochProgress:
    """An epoch that has begun.

    Attributes:
        permutation: order of the images; its batches follow each other.
        steps: batches trained on so far.
        loss_sum: over their images, in nats.
        correct: how many of them were classified right.
        seconds: that they took, before an interruption.
        data_seconds: how many of these it waited for images.
        crop_seed: what the random crops of its images are drawn by, where they are cropped.
        second_seed: what the order of a second source is drawn by, where there is one.
    """

    permutation: Int64[Tensor, " image"]
    steps: int
    loss_sum: Float64[Tensor, ""]
    correct: Int64[Tensor, ""]
    seconds: float = 0.0
    data_seconds: float = 0.0
    crop_seed: int | None = None
    second_seed: int | None = None

    def count(
        self,
        logits: Float[Tensor, "own label"],
        loss: Float[Tensor, ""],
        labels: Int64[Tensor, " own"],
    ) -> None:
        """Add the images of one step by what it returned."""
        if len(labels):  # the mean over no rows is NaN
            self.loss_sum += loss.double() * len(labels)
            self.correct += (logits.argmax(1) == labels).sum()

    def move_counts(self, other: "EpochProgress") -> None:
        """Count from here on in the tensors of an epoch that has ended, from what is counted."""
        self.loss_sum = other.loss_sum.copy_(self.loss_sum)
        self.correct = other.correct.copy_(self.correct)

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches, and count how long each was waited for."""
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.data_seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch
