"""Everything that the rest of a training depends on."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gon_core.data.splits import Images
from gon_core.training import dropout
from gon_core.training.convergence import Convergence
from gon_core.training.epoch_progress import EpochProgress
from gon_core.training.parallel import ALONE, Group
from gon_core.training.second_source import SecondSource

Augment = Callable[[Tensor, Generator], Tensor]
"""Images [batch, channel, height, width] in [0, 1], and a random stream -> such images."""
AUGMENTATION = "augmentation"
"""The random stream of an ``Augment``."""


@runtime_checkable
class MethodState(Protocol):
    """What a method keeps from step to step in addition to the classifier, such as an opponent.

    Attributes:
        sums: of the epoch so far, over the images of this process.
    """

    sums: Tensor

    @property
    def form(self) -> Hashable:
        """What decides, on the host, which operations a step takes; see ``runner``."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the rest of the training depends on."""
        ...

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Set it to what ``state_dict`` returned; ``ValueError`` if that was another method's."""
        ...

    def end_epoch(self) -> dict[str, float]:
        """Return the method's own metrics of the epoch that ends, and start those of the next."""
        ...


@dataclass
class TrainingState:
    """Everything that the rest of a training depends on; a checkpoint holds all but the last
    two.

    Attributes:
        model: the classifier, in training mode during an epoch.
        optimizer: over the model's parameters.
        streams: the random streams by name, for example ``data order`` and ``noise``.
        method_state: what the method keeps in addition to the classifier, if anything.
        convergence: epochs so far, plateau, decay.
        progress: of the current epoch; None between two epochs.
        augment: what is done to the images of a batch before any noise; nothing by default.
        second: of the images that come with those of a batch, where the method has such.
        group: the processes that share the work; it changes nothing but rounding.
        rows: of the whole batch of the current step.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    streams: dict[str, Generator]
    method_state: MethodState | None = None
    convergence: Convergence = field(default_factory=Convergence)
    progress: EpochProgress | None = None
    augment: Augment | None = None
    second: SecondSource | None = None
    group: Group = ALONE
    rows: int = 0

    def randomness(self, rows: int) -> AbstractContextManager[None]:
        """Let a model with dropout draw from its own stream within a step on so many rows."""
        self.rows = rows
        return dropout.drawing_from(self.streams.get(dropout.STREAM), self.model)

    def images_of_an_epoch(self, data: Images) -> int:
        """Return how many of the images make an epoch, from the first."""
        return len(data) if self.second is None else self.second.first

    def augmented(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return a whole batch as it is trained on, before any noise."""
        if self.augment is None:
            return images
        return self.augment(images, self.streams[AUGMENTATION])

    def count_together(self) -> None:
        """Replace the counts of the epoch so far by their totals over the group."""
        if self.group.size > 1:
            for count in self._counts():
                count.copy_(self.group.total(count))

    def count_nothing(self) -> None:
        """Set the counts of the epoch so far to 0: another process of the group has them."""
        for count in self._counts():
            count.zero_()

    def _counts(self) -> list[Tensor]:
        found = [] if self.progress is None else [self.progress.loss_sum, self.progress.correct]
        return found if self.method_state is None else [*found, self.method_state.sums]
