"""A second source of images, which take some rows of every batch, in an order of their own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from gon_core import seeding

STREAM = "second order"
"""The random stream that the order of each epoch is drawn from."""


@dataclass(frozen=True)
class SecondSource:
    """Where the images of a second source are, and how many come with a batch.

    They lie in one set behind the images that make an epoch, so that the same processes decode
    both. A batch of n of these is followed by ``share * n`` rows of the second source, rounded
    down. Which ones is drawn anew for each epoch, independent of the other images: all of them come
    once before any comes again.

    Attributes:
        first: the index of the first; as many images make an epoch.
        share: of a batch.
    """

    first: int
    share: float

    def further(self, rows: int) -> int:
        """Return how many images of the second source come with a batch of so many rows."""
        return int(rows * self.share + 1e-9)

    def joined(
        self, batches: Sequence[Tensor], taken: int, images: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """Return the indices of batches, each followed by those of the second source.

        Args:
            batches: indices of the images of each batch of an epoch that is left.
            taken: images of the second source that the batches before them took.
            images: of both sources.
            seed: of the epoch.
        """
        counts = [self.further(len(batch)) for batch in batches]
        order = self._order(taken + sum(counts), images - self.first, seed)[taken:]
        return [
            torch.cat([batch, further.to(batch.device)])
            for batch, further in zip(batches, order.split(counts), strict=True)
        ]

    def _order(self, count: int, images: int, seed: int) -> Int64[Tensor, " _"]:
        stream = seeding.generator(seed, "order of a second source")
        rounds = math.ceil(count / images)
        order = [torch.randperm(images, generator=stream) for _ in range(rounds)]
        return torch.cat([*order, torch.zeros(0, dtype=torch.int64)])[:count] + self.first


def rows_of_batch(rows: int, share: float) -> int:
    """Return how many of a batch's rows are not of the second source, which has ``share``."""
    return math.ceil(rows / (1 + share) - 1e-9)
