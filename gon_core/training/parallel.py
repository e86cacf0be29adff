"""Data parallel training: several processes share one training, each has some rows of every batch.

All of them hold the same state and draw the same random numbers, for whole batches, so that their
streams stay in step. Each computes forward and backward passes for its own rows only; gradients
are then summed so that the update is that of one process with the whole batch. The two differ by
rounding, since sums of floating-point numbers depend on their order.

This is ``torch.distributed`` without its ``DistributedDataParallel``, which assumes equal shares,
averages gradients in every backward pass, and needs every process in each. Here shares differ by a
row, or one is empty, and attacks and the generator need backward passes without an update.

What looks at the rows of a batch together is in ``gon_core.training.normalisation``.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Group:
    """This process among those of one training; by default there is no other.

    More than one need the default group of ``torch.distributed``, with the same ranks. Every
    process must call ``add_gradients``, ``total`` and ``check_in_step`` equally often, in the same
    order.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def rows(self) -> slice:
        """Which rows of a whole batch are this process's; possibly none."""
        return slice(self.rank, None, self.size)

    def own(self, batch: Tensor) -> Tensor:
        """Return this process's rows of a whole batch."""
        return batch if self.size == 1 else batch[self.rows].contiguous()

    def add_gradients(self, parameters: Iterable[nn.Parameter], own: int, whole: int) -> None:
        """Make the gradient of a mean over own rows that of the mean over the whole batch.

        Args:
            parameters: whose gradients are changed in place.
            own: number of rows that the gradients are of, here.
            whole: number of rows of the batch.
        """
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        together = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.add_up(together.mul_(own / whole))
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of ``value`` over the processes."""
        if self.size == 1:
            return value
        summed = value.clone()
        self.add_up(summed)
        return summed

    def add_up(self, value: Tensor) -> None:
        """Replace ``value`` by its sum over the processes; there are several."""
        distributed.all_reduce(value)

    def check_in_step(self, state: Mapping[str, bytes], device: torch.device) -> None:
        """Raise RuntimeError unless all processes hold the same ``state``, as files by name.

        Args:
            state: see ``checkpoints.dump``.
            device: that the group's collectives work on.
        """
        digest = hashlib.sha256(b"".join(state[name] for name in sorted(state))).digest()
        numbers = torch.zeros(self.size, dtype=torch.int64, device=device)
        numbers[self.rank] = int.from_bytes(digest[:8], "big", signed=True)
        if len(self.total(numbers).unique()) > 1:
            raise RuntimeError(f"the {self.size} processes of this training are no longer in step")


class Stops:
    """When a training stops, on which its processes agree: all of them at the same step.

    They ask each other about once a second, and at most every ``MOST_STEPS`` steps: each time a GPU
    has to end what it was given so far.

    Args:
        group: the processes.
        stop: whether this one has to stop.
        device: that the group's collectives work on.
    """

    def __init__(self, group: Group, stop: Callable[[], bool], device: torch.device) -> None:
        self._group, self._stop, self._device = group, stop, device
        self._here, self._steps, self._most = False, 0, 1
        self._asked = time.perf_counter()

    def here(self, is_last: bool = False) -> bool:
        """Return whether to stop now; every process must call this after each of its steps.

        Args:
            is_last: whether the step is the last before something that takes long.
        """
        self._here = self._stop() or self._here
        if self._group.size == 1:
            return self._here
        self._steps += 1
        if self._steps < self._most and not is_last:
            return False
        taken = time.perf_counter() - self._asked
        own = torch.tensor([float(self._here), taken], dtype=torch.float64, device=self._device)
        stops, seconds = self._group.total(own).tolist()
        each = seconds / self._group.size / self._steps
        self._most = max(1, min(MOST_STEPS, int(ASK_SECONDS / max(each, 1e-9))))
        self._steps, self._asked = 0, time.perf_counter()
        return stops > 0


ALONE = Group()
MOST_STEPS = 50  # between two times that processes ask each other whether to stop
ASK_SECONDS = 1.0  # about: a machine that is taken away gives notice of 30 seconds or more
JOIN_SECONDS = 60.0  # for all processes, started by then, to join
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@contextmanager
def joined(
    rank: int, size: int, folder: Path, device_type: str, timeout: float = 1800.0
) -> Iterator[Group]:
    """Join the other processes of a training on this machine, as a context; leave them at its end.

    They find each other by a file and communicate over loopback only: NCCL between GPUs, of which
    each process has made one its current device, and Gloo between CPUs.

    Args:
        rank: of this process, from 0.
        size: number of processes.
        folder: a new one that no other user can read, the same for all of them.
        device_type: ``cpu`` or ``cuda``.
        timeout: seconds after which a process that does not answer is an error.

    Raises:
        RuntimeError: the others did not join in time, or were lost.
    """
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = LOOPBACK
    distributed.init_process_group(
        "nccl" if device_type == "cuda" else "gloo",
        store=distributed.FileStore(str(folder / "meeting-point"), size),
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=JOIN_SECONDS),
    )
    try:
        assert distributed.group.WORLD is not None
        distributed.group.WORLD.set_timeout(timedelta(seconds=timeout))
        yield Group(rank, size)
    except BaseException:
        abort()  # an orderly exit could wait for lost processes
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def abort() -> None:
    """End this process's wait for the others with an error; callable from any thread."""
    if distributed.is_initialized() and distributed.group.WORLD is not None:
        distributed.group.WORLD.abort()
