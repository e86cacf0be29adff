"""Top-1 and top-5 accuracy, clean and per corruption."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from gon_core.data.splits import Images
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.measurement import Measurement, accuracy_row

BATCH_SIZE = 250
LARGE, LARGE_BATCH_SIZE = 128, 64
"""Pixels of a side, from which on fewer images go through a model at once: so they fit on a GPU
also where gradients are computed."""
PIXELS_ON_GPU = 2**20
"""Of all images that go through a model at once on a GPU, where no gradient is computed: a smaller
batch of digits computes for less time than its kernels take to launch, a larger one no faster."""

Batch = tuple[UInt8[Tensor, "batch channel height width"], Int64[Tensor, " batch"]]
Answer = tuple[Float[Tensor, "batch label"], Int64[Tensor, " batch"]]


class Counts(NamedTuple):
    """How many of ``images`` have their label as the first answer, and among the first five.

    ``right`` says for each image whether it is the first.
    """

    top1: int
    top5: int
    images: int
    right: Bool[Tensor, " image"]


@torch.inference_mode()
def count_correct(model: nn.Module, data: Images, bf16: bool = False) -> int:
    """Return how many images ``model`` classifies right, in evaluation mode.

    Args:
        model: images in [0, 1] -> logits; its training mode is restored afterwards.
        data: images on the model's device.
        bf16: run the forward pass in bfloat16.
    """
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    for logits, labels in _answers(model, batches(data), bf16):
        correct += (logits.argmax(1) == labels).sum()
    return int(correct)


@torch.inference_mode()
def correct_images(model: nn.Module, data: Images, bf16: bool = False) -> Bool[Tensor, " image"]:
    """Return which images ``model`` classifies right, for a paired test of two models.

    Args:
        model, data, bf16: as for ``count_correct``.
    """
    right = [logits.argmax(1) == labels for logits, labels in _answers(model, batches(data), bf16)]
    return torch.cat([torch.zeros(0, dtype=torch.bool, device=data.labels.device), *right])


@torch.inference_mode()
def count(model: nn.Module, labelled: Iterable[Batch], bf16: bool = False) -> Counts:
    """Count the right first answers and the labels among the first five, in one forward pass.

    Equal logits are ranked by class, as ``argmax`` does, so that ``top1`` is ``count_correct``.

    Args:
        model: images in [0, 1] -> logits; its training mode is restored afterwards.
        labelled: batches of images (0..255) and labels, on the model's device.
        bf16: run the forward pass in bfloat16.
    """
    # All stays on the device until the end, which alone waits for it.
    first, among_five = [torch.zeros(0, dtype=torch.bool)], [torch.zeros(0, dtype=torch.bool)]
    for logits, labels in _answers(model, labelled, bf16):
        ranked = logits.sort(dim=1, descending=True, stable=True).indices[:, :5]
        found = ranked == labels.unsqueeze(1)
        first.append(found[:, 0])
        among_five.append(found.any(1))
    right = torch.cat([part.cpu() for part in first])
    top5 = torch.cat([part.cpu() for part in among_five])
    return Counts(int(right.sum()), int(top5.sum()), len(right), right)


def batch_size(data: Images) -> int:
    """Return how many images are attacked at once, and have their noise drawn in one call.

    It is by their size alone, so that a machine and its memory change nothing but rounding.
    """
    return BATCH_SIZE if data.side < LARGE else LARGE_BATCH_SIZE


def pass_size(data: Images) -> int:
    """Return how many images go through a model at once where no gradient is computed.

    It is ``batch_size`` at least, and what keeps a GPU busy where they are on one. It does not
    depend on how much of the memory is free: the same trial rounds in the same way beside others.
    """
    if data.device.type != "cuda" or data.side >= LARGE:
        return batch_size(data)
    most = PIXELS_ON_GPU // data.side**2
    return max(batch_size(data), 1 << (most.bit_length() - 1))  # a power of two, as graphs have


def batches(data: Images, size: int | None = None) -> Iterator[Batch]:
    """Yield the images in order, with their labels, so many at a time; None for ``pass_size``."""
    together = pass_size(data) if size is None else size
    indices = torch.arange(len(data), device=data.device).split(together)[: len(data)]
    for index, images in zip(indices, data.batches(indices), strict=True):
        yield images, data.labels[index]


def evaluate(
    model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
) -> Iterator[Measurement]:
    """Yield the accuracy of ``model`` on each version of the images, the clean ones first."""
    for row, _ in evaluate_images(model, evaluation_set, bf16):
        yield row


def evaluate_images(
    model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
) -> Iterator[tuple[Measurement, Bool[Tensor, " image"]]]:
    """Yield what ``evaluate`` does, each with which images are right, for paired tests."""
    for (corruption, severity), images in evaluation_set.images.items():
        counts = count(model, batches(images), bf16)
        row = accuracy_row(
            split=evaluation_set.split,
            corruption=corruption,
            severity=severity,
            correct=counts.top1,
            count=counts.images,
            correct_top5=counts.top5,
        )
        yield row, counts.right


def _answers(model: nn.Module, labelled: Iterable[Batch], bf16: bool) -> Iterator[Answer]:
    was_training = model.training
    model.eval()
    try:
        for images, labels in labelled:
            pixels = images.float().div_(255)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                logits = model(pixels)
            yield logits, labels
    finally:
        model.train(was_training)
