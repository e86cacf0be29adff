"""The random numbers of a batch: each image has a stream of its own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gon_core.seeding import generator


class Draws:
    """Random numbers for a batch of images, drawn for each image from its own stream.

    So what an image gets does not depend on the images beside it. A GPU draws other numbers than a
    CPU.

    Attributes:
        streams: one for each image of the batch, in its order.
        device: where the numbers are drawn.
    """

    def __init__(
        self,
        seed: int,
        corruption: str,
        severity: int,
        indices: Sequence[int],
        device: torch.device,
    ) -> None:
        self.device = device
        self.streams = [
            generator(seed, "photos", corruption, severity, index, device=device)
            for index in indices
        ]

    def normal(self, *shape: int) -> Float[Tensor, "batch ..."]:
        """Return standard normal numbers, [batch, *shape]."""
        numbers = self._empty(shape)
        for row, stream in zip(numbers, self.streams, strict=True):
            row.normal_(generator=stream)
        return numbers

    def uniform(self, low: float, high: float, *shape: int) -> Float[Tensor, "batch ..."]:
        """Return uniform numbers in [low, high), [batch, *shape]."""
        numbers = self._empty(shape)
        for row, stream in zip(numbers, self.streams, strict=True):
            row.uniform_(low, high, generator=stream)
        return numbers

    def integers(self, low: int, high: int, *shape: int) -> Int64[Tensor, "batch ..."]:
        """Return integers from low to high - 1 with equal odds, [batch, *shape]."""
        numbers = self._empty(shape, torch.int64)
        for row, stream in zip(numbers, self.streams, strict=True):
            row.random_(low, high, generator=stream)
        return numbers

    def _empty(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(len(self.streams), *shape, dtype=dtype, device=self.device)
