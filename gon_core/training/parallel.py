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
from collections.abc import Iterable, Iterator, Mapping
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
    process must call ``add_gradients``, ``total``, ``any`` and ``check_in_step`` equally often, in
    the same order.

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
        distributed.all_reduce(together.mul_(own / whole))
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of ``value`` over the processes."""
        if self.size == 1:
            return value
        summed = value.clone()
        distributed.all_reduce(summed)
        return summed

    def any(self, here: bool, device: torch.device) -> bool:
        """Return whether the condition holds in any process.

        Args:
            here: whether it holds in this one.
            device: that the group's collectives work on.
        """
        return here if self.size == 1 else bool(self.total(torch.tensor(int(here), device=device)))

    def check_in_step(self, state: Mapping[str, bytes], device: torch.device) -> None:
        """Raise RuntimeError unless all processes hold the same ``state``, as files by name.

        Args:
            state: see ``checkpoints.dump``.
            device: that the group's collectives work on.
        """
        digest = hashlib.sha256(b"".join(state[name] for name in sorted(state))).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        least, most = (torch.tensor(number, device=device) for _ in range(2))
        distributed.all_reduce(least, distributed.ReduceOp.MIN)
        distributed.all_reduce(most, distributed.ReduceOp.MAX)
        if least.item() != most.item():
            raise RuntimeError(f"the {self.size} processes of this training are no longer in step")


ALONE = Group()
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
