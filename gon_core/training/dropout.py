"""Dropout: from its own random stream, and alike for any number of processes.

Masks are drawn for whole batches, of which each process takes those of its rows: no two rows share
one, and several processes train what one does, up to rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gon_core.training.cuda_graphs import ONE_AT_A_TIME
from gon_core.training.parallel import Group

STREAM = "dropout"
"""The random stream of a model's dropout, where it has any."""


def drops(layer: nn.Module) -> bool:
    """Return whether ``layer`` leaves out parts of what it is given, at random, in training."""
    kind = type(layer)
    is_one = isinstance(layer, _DropoutNd) or kind.__name__ == "StochasticDepth"  # torchvision's
    return is_one and float(cast(Any, getattr(layer, "p", 0.0))) > 0


@contextmanager
def drawing_from(stream: Generator | None, model: nn.Module) -> Iterator[None]:
    """Let the dropout of ``model`` draw from a stream, as a context; without one, as torch does.

    The random numbers that it draws are those of the whole process: another training in another
    thread waits.
    """
    if stream is None:
        yield
        return
    device = next(model.parameters()).device
    seed = int(torch.randint(2**53, (), generator=stream))
    with ONE_AT_A_TIME, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def dropped_together(model: nn.Module, group: Group, rows: Callable[[], int]) -> Iterator[None]:
    """Let the dropout of ``model`` draw for the rows of all processes, as a context.

    All of them must have seeded torch's own random numbers alike before each step.

    Args:
        model: what they train.
        group: the processes.
        rows: returns how many the whole batch has.
    """
    layers = [layer for layer in model.modules() if drops(layer)]
    if group.size == 1:
        layers = []
    try:
        for layer in layers:
            vars(layer)["forward"] = partial(_dropped, layer, group, rows)
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]  # that of its class again


def _dropped(
    layer: nn.Module, group: Group, rows: Callable[[], int], features: Float[Tensor, "own ..."]
) -> Float[Tensor, "own ..."]:
    """Return what ``layer`` leaves of a process's own rows, as it would of the whole batch."""
    forward = type(layer).forward
    if not layer.training or not len(features):
        return forward(layer, features)
    count, own = rows_in_whole(len(features), group, rows())
    # As one process has them: random numbers go to features in the order of memory.
    by_channel = features.dim() == 4 and not features.is_contiguous()
    order = torch.channels_last if by_channel else torch.contiguous_format
    whole = torch.zeros(
        (count, *features.shape[1:]),
        dtype=features.dtype, device=features.device,
    ).contiguous(memory_format=order)  # fmt: skip
    own = own.to(features.device)
    return forward(layer, whole.index_put((own,), features))[own]


def rows_in_whole(given: int, group: Group, batch: int) -> tuple[int, Int64[Tensor, " own"]]:
    """Return how many rows all processes give a layer, and which of them this one gives.

    Args:
        given: rows that this process gives it: its own of the batch, or several times as many, one
            block after the other, as AugMix does.
        group: the processes.
        batch: rows of the whole batch.
    """
    own = torch.arange(batch)[group.rows]
    blocks, rest = divmod(given, len(own))
    if rest:  # a model that cuts images into parts of its own: each process has masks of its own
        return given * group.size, torch.arange(given * group.size)[group.rows]
    starts = torch.arange(blocks) * batch
    return blocks * batch, (starts[:, None] + own).flatten()
