"""Corruption sets on disk, read so that they can be evaluated."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from gon_core.data import mnist_c_folder
from gon_core.data.imagenet_c_folder import SEVERITIES, ImageNetC
from gon_core.evaluation.accuracy import Batch, count
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.measurement import CLEAN, Measurement, accuracy_row


def read_mnist_c(root: Path) -> EvaluationSet:
    """Return the published test images of MNIST-C, for ``evaluate``.

    Args:
        root: the folder that holds one folder per corruption.

    Raises:
        DataFileError: names every fault, see ``gon_core.data.mnist_c_folder.check``.
    """
    found = mnist_c_folder.load(root, "test")
    images = {(name, 0 if name == CLEAN else 1): data for name, data in found.items()}
    return EvaluationSet("test", images)


def evaluate_imagenet_c(
    model: nn.Module,
    images: ImageNetC,
    batch_size: int = 64,
    bf16: bool = False,
    device: str | torch.device | None = None,
) -> Iterator[Measurement]:
    """Yield the accuracy of ``model`` under each corruption at each severity, as it is known.

    Args:
        model: RGB images in [0, 1] -> logits; it normalises by itself.
        images: see ``gon_core.data.imagenet_c_folder.open_folder``.
        batch_size: images in memory at a time.
        bf16: run the forward pass in bfloat16.
        device: where the model is; by default that of its parameters.

    Raises:
        DataFileError: an image cannot be decoded or has another size.
    """

    first = next(model.parameters(), None)
    device = device or (first.device if first is not None else "cpu")

    def on_device(corruption: str, severity: int) -> Iterator[Batch]:
        for pixels, labels in images.batches(corruption, severity, batch_size):
            yield pixels.to(device), labels.to(device)

    for corruption in images.corruptions:
        for severity in SEVERITIES:
            counts = count(model, on_device(corruption, severity), bf16)
            yield accuracy_row(
                split="test",
                corruption=corruption,
                severity=severity,
                correct=counts.top1,
                count=counts.images,
                correct_top5=counts.top5,
            )
