"""How the steps of a training are run: one operation after the other, or replayed as graphs.

Most steps of a small classifier wait for the host, which launches a hundred kernels for each. On a
GPU a step is therefore captured once as a CUDA graph: from then on the host launches it as a whole.
The same kernels compute the same bits. ``EagerRunner`` is what a CPU does.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gon_core.config import TrainingConfig
from gon_core.data.splits import Images, LabelledImages
from gon_core.training import dropout
from gon_core.training.batches import select
from gon_core.training.epoch_progress import EpochProgress
from gon_core.training.parallel import ALONE, Group
from gon_core.training.recordings import Recordings, on_device
from gon_core.training.state import TrainingState

Work = Callable[[Float[Tensor, "batch channel height width"], Int64[Tensor, " batch"]], None]
"""What is done with the images of a batch, as they are before any noise, and their labels.

It can be captured where it takes the same operations for each batch of a size. It then reads and
writes only tensors that stay where they are in memory, and random streams on the device.
"""

Batch = tuple[Tensor, ...]
"""What a runner wants to know of a batch; only it knows what."""


@runtime_checkable
class Runner(Protocol):
    """Runs the steps of one training, in order."""

    def begin(self, progress: EpochProgress) -> None:
        """Count in ``progress`` from here on."""
        ...

    def set_learning_rate(self, rate: float) -> None:
        """Set the classifier's learning rate, for the works that follow."""
        ...

    def batches(
        self, indices: Sequence[Tensor], crop_seed: int | None = None, group: Group = ALONE
    ) -> Iterator[Batch]:
        """Yield a batch for each of ``indices``; see ``batches.select``."""
        ...

    def run(self, name: str, work: Work, batch: Batch, form: Hashable = None) -> None:
        """Do a work with a batch.

        Args:
            name: of the work; works of one name differ in nothing but in what they are given.
            work: what is to be done.
            batch: that ``batches`` yielded last.
            form: what else decides which operations it takes.
        """
        ...


class Rate:
    """An optimiser's learning rate, which changes from step to step.

    Args:
        optimizer: whose rate is set.
        device: to keep the rate on, in float32, as torch's fused kernels want it: a graph reads it
            there, and would never see another number. None to keep it as a number.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device | None) -> None:
        self._groups = optimizer.param_groups
        self._tensor = None if device is None else torch.zeros((), device=device)
        self._now: float | None = None

    def set(self, rate: float) -> None:
        """Set the rate, where it changes."""
        if rate == self._now:
            return
        self._now = rate
        if self._tensor is not None:
            self._tensor.fill_(rate)
        for group in self._groups:
            group["lr"] = rate if self._tensor is None else self._tensor


class EagerRunner:
    """Runs one operation after the other.

    Args:
        state: of the training.
        data: its images.
    """

    def __init__(self, state: TrainingState, data: Images) -> None:
        self._state, self._data = state, data
        self._rate = Rate(state.optimizer, data.device if data.device.type == "cuda" else None)

    def begin(self, progress: EpochProgress) -> None:
        """Do nothing: all of it is counted where it is."""

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate; on a GPU as a graph reads it, for the same bits."""
        self._rate.set(rate)

    def batches(
        self, indices: Sequence[Tensor], crop_seed: int | None = None, group: Group = ALONE
    ) -> Iterator[Batch]:
        """Yield images as floats in [0, 1], and their labels."""
        return select(self._data, indices, crop_seed, group)

    def run(self, name: str, work: Work, batch: Batch, form: Hashable = None) -> None:
        """Do a work with a batch."""
        images, labels = batch
        work(self._state.augmented(images), labels)


@dataclass
class _Inputs:
    """Where the works on batches of one size read: which images; those that had to be decoded."""

    index: Int64[Tensor, " batch"]
    images: UInt8[Tensor, "batch channel height width"] | None


class GraphRunner:
    """Records each work for each size of batch, and replays it: the last batch of an epoch too.

    Nothing is read from the device between two works. What is in memory there is gathered there.

    Args:
        state: of the training.
        data: its images.
        recordings: does works on the images' device.
    """

    def __init__(self, state: TrainingState, data: Images, recordings: Recordings) -> None:
        self._state, self._data, self._recordings = state, data, recordings
        self._inputs: dict[int, _Inputs] = {}
        self._counted: EpochProgress | None = None
        self._rate = Rate(state.optimizer, data.device)

    def begin(self, progress: EpochProgress) -> None:
        """Let all epochs be counted in the tensors of the first."""
        if self._counted is not None:
            progress.move_counts(self._counted)
        self._counted = progress

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate on the device, where it changes."""
        self._rate.set(rate)

    def batches(
        self, indices: Sequence[Tensor], crop_seed: int | None = None, group: Group = ALONE
    ) -> Iterator[Batch]:
        """Yield the indices of images, and the images themselves unless they are in memory."""
        assert group.size == 1, "a graph holds the work of one process"
        if isinstance(self._data, LabelledImages):
            yield from zip(indices)
        else:
            yield from zip(indices, self._data.batches(indices, crop_seed), strict=True)

    def run(self, name: str, work: Work, batch: Batch, form: Hashable = None) -> None:
        """Do a work with a batch: try it out, record it, or replay it."""
        index, *decoded = batch
        inputs = self._put(index, *decoded)

        def whole() -> None:
            index, images = inputs.index, inputs.images
            levels = self._data.batch(index) if images is None else images
            work(self._state.augmented(levels.float().div_(255)), self._data.labels[index])

        self._recordings.run(name, whole, (len(index), form))

    def _put(self, index: Tensor, decoded: Tensor | None = None) -> _Inputs:
        inputs = self._inputs.get(len(index))
        if inputs is None:
            images = None if decoded is None else decoded.clone()
            inputs = self._inputs[len(index)] = _Inputs(index.clone(), images)
            return inputs
        inputs.index.copy_(index)
        if decoded is not None:
            assert inputs.images is not None
            inputs.images.copy_(decoded, non_blocking=True)
        return inputs


def runner_for(state: TrainingState, data: Images, config: TrainingConfig) -> Runner:
    """Return what runs the steps of a training: graphs on a GPU, wherever they can.

    Steps of several processes, of a compiled classifier and of one with dropout, whose masks are
    seeded by the host, are run one operation after the other.
    """
    eager = state.group.size > 1 or config.compiled or dropout.STREAM in state.streams
    if eager or data.device.type != "cuda":
        return EagerRunner(state, data)
    return GraphRunner(state, data, on_device(data.device, state.streams.values()))
