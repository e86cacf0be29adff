"""A trial that a user's own training function trains, instead of a method of ``gon_core``."""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from gon_core import seeding
from gon_core.config import OwnFunction, TrainingConfig
from gon_core.data.splits import Images
from gon_core.training import StoppedError, TrainingState
from gon_core.training.batches import permutation, select
from gon_core.training.convergence import Event
from gon_core.training.epoch_progress import LabelledBatch

TrainFunction = Callable[..., None]
"""Called with the trial (``OwnTrial``), its seed, and a function that reports an epoch."""


class _TrainingEndedError(BaseException):
    """Ends a training function at the limit of epochs; no ``except Exception`` is in its way."""


@dataclass(frozen=True, eq=False)
class OwnTrial(Mapping[str, float | int | str]):
    """What a training function is given: the values of its trial by name, a model, and images.

    Attributes:
        given: the searched values by name; ``trial[name]`` is one of them.
        model: to be trained in place, on the device that trains; it takes images in [0, 1] to
            logits.
        images: the training images, levels 0..255, on the same device.
        epochs: the limit of epochs: the report of the last one does not return.
        batch_size: of the sweep.
    """

    given: dict[str, float | int | str]
    model: nn.Module
    images: Images
    epochs: int
    batch_size: int
    _state: TrainingState
    _stop: Callable[[], bool]

    def __getitem__(self, name: str) -> float | int | str:
        return self.given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)

    def batches(self, batch_size: int | None = None) -> Iterator[LabelledBatch]:
        """Yield the images of one epoch in random order, as those of all other trials.

        They are floats in [0, 1] [batch, channel, height, width], with their labels; cropped and
        mirrored where the data set's trainings do so.
        """
        order = self._state.streams["data order"]
        crop_seed = None if self.images.least_area is None else int(
            torch.randint(2**53, (), generator=order)
        )  # fmt: skip
        indices = permutation(self.images, order).split(batch_size or self.batch_size)
        for images, labels in select(self.images, indices, crop_seed):
            stop_if(self._stop)
            yield self._state.augmented(images), labels


def train_own(
    function: TrainFunction,
    state: TrainingState,
    images: Images,
    method: OwnFunction,
    config: TrainingConfig,
    seed: int,
    stop: Callable[[], bool],
    take_in: Callable[[dict[str, float]], None],
) -> Event:
    """Call a training function; return what ended the training.

    Torch's, NumPy's and Python's global random numbers are seeded before, so that a function that
    draws from them does the same in every run.

    Args:
        function: called as ``function(trial, seed, report)``. It calls
            ``report(train_loss, name=value, ...)`` after each epoch, which returns once the model
            was validated.
        state: whose model is trained; its convergence counts the epochs.
        images: to train on.
        method: the values that the function is called with.
        config: the limit of epochs, and the batch size.
        seed: of the trial.
        stop: called between batches and epochs: whether to end for now.
        take_in: called with the metrics of each epoch, before its validation.

    Raises:
        StoppedError: ``stop`` returned True.
        ValueError: the function reported no epoch.
    """
    for set_seed in (random.seed, np.random.seed, torch.manual_seed):
        set_seed(torch.randint(2**32, (), generator=seeding.generator(seed, "own function")).item())
    end: Event = "converged"
    started = time.perf_counter()

    def report(train_loss: float, **metrics: float) -> None:
        nonlocal end, started
        seconds, epoch = time.perf_counter() - started, state.convergence.epoch + 1
        state.convergence = replace(state.convergence, epoch=epoch)
        entry = {"epoch": float(epoch), "train_loss": float(train_loss), "seconds": seconds}
        take_in(entry | {name: float(value) for name, value in metrics.items()})
        if not math.isfinite(train_loss):
            end = "diverged"
        elif epoch >= config.max_epochs:
            end = "max_epochs"
        if end != "converged":
            raise _TrainingEndedError
        stop_if(stop)
        state.model.train()
        started = time.perf_counter()

    state.model.train()
    trial = OwnTrial(
        dict(method.values), state.model, images, config.max_epochs, config.batch_size, state, stop
    )
    with suppress(_TrainingEndedError):
        function(trial, seed, report)
    if not state.convergence.epoch:
        raise ValueError(f"{method.name} reported no epoch: call report(loss) after each")
    return end


def stop_if(stop: Callable[[], bool]) -> None:
    """Raise StoppedError if a stop is due."""
    if stop():
        raise StoppedError
