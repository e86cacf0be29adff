"""The epoch loop: a generator that yields the metrics of each epoch.

The loop knows neither validation nor checkpoints: its caller decides, between two epochs, what to
measure and what to keep. Everything that the next step depends on is in ``TrainingState``.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from gon_core.config import TrainingConfig
from gon_core.data.splits import Images
from gon_core.training import dropout, precision
from gon_core.training.batches import permutation
from gon_core.training.compilation import compiler_of
from gon_core.training.convergence import Event, advance, ended
from gon_core.training.epoch_progress import EpochProgress, Learned
from gon_core.training.learning_rate import learning_rate
from gon_core.training.normalisation import normalised_together
from gon_core.training.parallel import ALONE, Stops
from gon_core.training.runner import Runner, runner_for
from gon_core.training.second_source import STREAM, SecondSource, rows_of_batch
from gon_core.training.state import TrainingState


class StoppedError(Exception):
    """A training was stopped between two steps; it can resume from its state."""


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

    A step can be captured as a CUDA graph for each size of batch: it takes tensors on the device
    and the random streams, reads no value from the device, keeps what it changes where it is in
    memory, and its shapes follow from the batch's. What the host decides, such as resets and the
    learning rate, is done before it.
    """

    def __call__(
        self,
        state: TrainingState,
        images: Float[Tensor, "batch channel height width"],
        labels: Int64[Tensor, " batch"],
    ) -> Learned: ...


Prepare = Callable[[TrainingState, int, Runner], bool]
"""What a method does before a step on so many images, on the host or by the training's runner.

It does a part of it and returns True; it is then called again, until it returns False. A training
can be stopped between two parts.
"""

MakeRunner = Callable[[TrainingState, Images], Runner]
"""Given a training and its images -> what runs its steps."""


def prepared(state: TrainingState, batch_size: int, runner: Runner) -> bool:
    """Prepare nothing, as most methods do."""
    return False


def train_epochs(
    state: TrainingState,
    data: Images,
    config: TrainingConfig,
    step: Step,
    stop: Callable[[], bool] = lambda: False,
    prepare: Prepare = prepared,
    runner: MakeRunner | None = None,
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
        runner: makes what runs the steps, such as ``EagerRunner``; None for ``runner_for``.

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
        runs = runner(state, data) if runner is not None else runner_for(state, data, config)
        yield from _epochs(state, data, config, step, stop, prepare, runs)


def _epochs(
    state: TrainingState,
    data: Images,
    config: TrainingConfig,
    step: Step,
    stop: Callable[[], bool],
    prepare: Prepare,
    runner: Runner,
) -> Iterator[EpochMetrics]:
    group, stops = state.group, Stops(state.group, stop, data.device)
    images_of_an_epoch = state.images_of_an_epoch(data)
    steps_per_epoch = math.ceil(images_of_an_epoch / config.batch_size)
    compiled = compiler_of(state.model, config.compiled)
    # Rows of a second source change their place in the batch: every process decodes all of it.
    sharing = group if state.second is None else ALONE

    def learn(images: Tensor, labels: Tensor) -> None:
        assert state.progress is not None
        with state.randomness(len(labels)):
            learned = step(state, images, labels)
        state.progress.count(*learned)

    while True:
        progress = state.progress or _begin_epoch(data, state)
        state.progress = progress
        runner.begin(progress)
        started = time.perf_counter() - progress.seconds
        state.model.train()
        indices = _indices(progress, data, config.batch_size, state.second)
        batches = progress.timed(runner.batches(indices, progress.crop_seed, sharing))
        with compiled(), precision.products_of(config, data.device):
            for index, batch in zip(indices, batches, strict=True):
                rows = rows_of_batch(len(index), state.second.share if state.second else 0.0)
                while prepare(state, rows, runner):
                    _stop_if(stops.here(), state, started)
                rate = learning_rate(config, state.convergence, progress.steps, steps_per_epoch)
                runner.set_learning_rate(rate)
                # Augmented only now: a training that was stopped while it prepared draws it again.
                form = state.method_state.form if state.method_state is not None else None
                runner.run("step", learn, batch, form)
                progress.steps += 1
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
