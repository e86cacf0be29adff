"""The epoch loop: a generator that yields the metrics of each epoch.

The loop knows neither validation nor checkpoints: its caller decides, between two epochs, what to
measure and what to keep. Everything that the next step depends on is in ``TrainingState``.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from gon_core.config import TrainingConfig
from gon_core.data.splits import Images
from gon_core.training import dropout
from gon_core.training.compilation import compiler_of
from gon_core.training.convergence import Convergence, Event, advance, ended
from gon_core.training.epoch_progress import EpochProgress, LabelledBatch, Learned
from gon_core.training.learning_rate import learning_rate
from gon_core.training.normalisation import normalised_together
from gon_core.training.parallel import ALONE, Group, Stops
from gon_core.training.second_source import STREAM, SecondSource, rows_of_batch


class StoppedError(Exception):
    """A training was stopped between two steps; it can resume from its state."""


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


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one epoch of training.

    Attributes:
        epoch: counted from 1.
        train_loss: mean cross entropy over the images as trained on (with their noise), in nats;
            with AugMix plus its consistency term.
        train_accuracy: on the same images, in percent.
        learning_rate: of its last step.
        seconds: CPU or GPU wall time of the epoch.
        data_seconds: how many of these it waited for images.
        event: what follows the epoch, see ``convergence.advance``.
        extra: the method's own metrics by name.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    learning_rate: float
    seconds: float
    data_seconds: float
    event: Event
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def is_last(self) -> bool:
        """Whether training ends here."""
        return self.event in ("converged", "max_epochs", "diverged")


@runtime_checkable
class Step(Protocol):
    """One optimiser step on a batch; returns what it learned on, as it was before the step.

    Every process of ``state.group`` is given the whole batch, of which it may look at the values of
    its own rows alone (``select``); it returns what is of these. The images of a second source,
    ``state.second``, are the last rows, and there for every process.

    A step can be captured as a CUDA graph for each size of batch (AugMix's excepted): it takes
    tensors on the device and the random streams, reads no value from the device, and its shapes
    follow from the batch's. What the host decides, such as resets and the learning rate, is done
    before it.
    """

    def __call__(
        self,
        state: TrainingState,
        images: Float[Tensor, "batch channel height width"],
        labels: Int64[Tensor, " batch"],
    ) -> Learned: ...


Prepare = Callable[[TrainingState, int], bool]
"""What a method does on the host before a step on so many images. It does a part of it and returns
True; it is then called again, until it returns False. A training can be stopped between two parts.
"""


def prepared(state: TrainingState, batch_size: int) -> bool:
    """Prepare nothing, as most methods do."""
    return False


def train_epochs(
    state: TrainingState,
    data: Images,
    config: TrainingConfig,
    step: Step,
    stop: Callable[[], bool] = lambda: False,
    prepare: Prepare = prepared,
) -> Iterator[EpochMetrics]:
    """Train until convergence, divergence or the limit of epochs.

    Args:
        state: where to start; changed in place, consistent whenever an epoch's metrics are yielded
            or ``StoppedError`` is raised.
        data: training images, on the model's device, and those of ``state.second`` behind them.
        config: batch size, learning rates and the rules of the end.
        step: the method's optimiser step.
        stop: called after each step, and after each part of ``prepare``; True stops there, or,
            with several processes, at most ``parallel.MOST_STEPS`` later.
        prepare: called before each step.

    Yields:
        The metrics of each epoch, over all processes; the last has ``is_last``. Nothing if the
        training has ended already.

    Raises:
        StoppedError: ``stop`` returned True in any of the processes.
        ValueError: several processes cannot train this model, or not with such a configuration.
    """
    if ended(state.convergence, config) is not None:
        return
    with (
        normalised_together(state.model, state.group, config.batch_norm_parts),
        dropout.dropped_together(state.model, state.group, lambda: state.rows),
    ):
        yield from _epochs(state, data, config, step, stop, prepare)


def _epochs(
    state: TrainingState,
    data: Images,
    config: TrainingConfig,
    step: Step,
    stop: Callable[[], bool],
    prepare: Prepare,
) -> Iterator[EpochMetrics]:
    group, stops = state.group, Stops(state.group, stop, data.device)
    images_of_an_epoch = state.images_of_an_epoch(data)
    steps_per_epoch = math.ceil(images_of_an_epoch / config.batch_size)
    compiled = compiler_of(state.model, config.compiled)
    # Rows of a second source change their place in the batch: every process decodes all of it.
    sharing = group if state.second is None else ALONE
    while True:
        progress = state.progress or _begin_epoch(data, state)
        state.progress = progress
        started = time.perf_counter() - progress.seconds
        state.model.train()
        indices = _indices(progress, data, config.batch_size, state.second)
        selected = select(data, indices, progress.crop_seed, sharing)
        with compiled():
            for images, labels in progress.timed(selected):
                rows = rows_of_batch(len(labels), state.second.share if state.second else 0.0)
                while prepare(state, rows):
                    _stop_if(stops.here(), state, started)
                rate = learning_rate(config, state.convergence, progress.steps, steps_per_epoch)
                for parameters in state.optimizer.param_groups:
                    parameters["lr"] = rate
                # Drawn only now: a training that was stopped while it prepared draws it again.
                images = state.augmented(images)
                with state.randomness(len(labels)):
                    learned = step(state, images, labels)
                progress.count(*learned)
                is_last = progress.steps == steps_per_epoch
                _stop_if(stops.here(is_last), state, started)
        state.count_together()
        state.progress = None
        train_loss = progress.loss_sum.item() / images_of_an_epoch
        # After a stop behind the last step of an epoch no step was taken here.
        rate = learning_rate(config, state.convergence, steps_per_epoch - 1, steps_per_epoch)
        state.convergence, event = advance(state.convergence, train_loss, config)
        metrics = EpochMetrics(
            epoch=state.convergence.epoch,
            train_loss=train_loss,
            train_accuracy=100 * progress.correct.item() / images_of_an_epoch,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            data_seconds=progress.data_seconds,
            event=event,
            extra=state.method_state.end_epoch() if state.method_state is not None else {},
        )
        yield metrics
        if metrics.is_last:
            return


def _stop_if(is_due: bool, state: TrainingState, started: float) -> None:
    """Raise StoppedError, with the state ready for a checkpoint, if a stop is due."""
    if is_due:
        assert state.progress is not None
        state.progress.seconds = time.perf_counter() - started
        state.count_together()
        raise StoppedError


def _begin_epoch(data: Images, state: TrainingState) -> EpochProgress:
    order = state.streams["data order"]
    return EpochProgress(
        permutation=permutation(data, order, state.images_of_an_epoch(data)),
        steps=0,
        loss_sum=torch.zeros((), dtype=torch.float64, device=data.device),
        correct=torch.zeros((), dtype=torch.int64, device=data.device),
        crop_seed=None if data.least_area is None else _draw_seed(order),
        second_seed=None if state.second is None else _draw_seed(state.streams[STREAM]),
    )


def _indices(
    progress: EpochProgress, data: Images, batch_size: int, second: SecondSource | None
) -> Sequence[Tensor]:
    """Return those of each batch of an epoch that is left."""
    left = progress.permutation.split(batch_size)[progress.steps :]
    if second is None:
        return left
    assert progress.second_seed is not None
    taken = progress.steps * second.further(batch_size)  # only the last batch is smaller
    return second.joined(left, taken, len(data), progress.second_seed)


def _draw_seed(stream: Generator) -> int:
    return int(torch.randint(2**53, (), generator=stream))  # JSON holds it exactly


def batches(data: Images, batch_size: int, order: Generator) -> Iterator[LabelledBatch]:
    """Yield the images of one epoch in random order, as floats in [0, 1], with their labels."""
    return select(data, permutation(data, order).split(batch_size))


def permutation(
    data: Images, order: Generator, count: int | None = None
) -> Int64[Tensor, " image"]:
    """Return the indices of all images, or of the first ``count``, on their device.

    The order is drawn from ``order``.
    """
    return torch.randperm(len(data) if count is None else count, generator=order).to(data.device)


def select(
    data: Images,
    indices: Sequence[Tensor],
    crop_seed: int | None = None,
    group: Group = ALONE,
) -> Iterator[LabelledBatch]:
    """Yield a batch for each of ``indices``: images as floats in [0, 1], and their labels.

    What can be cropped at random is, where there is a seed: by it and the index of each image. What
    is decoded for each batch is only this process's rows: the others of the ``group`` are black.
    """
    rows = None if group.size == 1 else group.rows
    for index, images in zip(indices, data.batches(indices, crop_seed, rows), strict=True):
        yield images.float().div_(255), data.labels[index]
