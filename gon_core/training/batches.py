"""The images of an epoch, batch by batch in random order."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from gon_core.data.splits import Images
from gon_core.training.epoch_progress import LabelledBatch
from gon_core.training.parallel import ALONE, Group


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
