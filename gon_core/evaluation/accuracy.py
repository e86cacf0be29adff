"""Top-1 accuracy, clean and per corruption."""

from collections.abc import Iterator

import torch
from torch import nn

from gon_core.data.splits import LabelledImages
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.rows import CLEAN, AccuracyRow

BATCH_SIZE = 250


@torch.inference_mode()
def count_correct(model: nn.Module, data: LabelledImages, bf16: bool = False) -> int:
    """Return how many images ``model`` classifies right, in evaluation mode.

    Args:
        model: images in [0, 1] -> logits; its training mode is restored afterwards.
        data: images on the model's device.
        bf16: run the forward pass in bfloat16.
    """
    was_training = model.training
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    for start in range(0, len(data), BATCH_SIZE):
        batch = data[start : start + BATCH_SIZE]
        images = batch.images.unsqueeze(1).float().div_(255)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = model(images)
        correct += (logits.argmax(1) == batch.labels).sum()
    model.train(was_training)
    return int(correct)


def evaluate(
    model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
) -> Iterator[AccuracyRow]:
    """Yield the accuracy of ``model`` on the clean images and under each corruption."""
    for name, images in evaluation_set.images.items():
        data = LabelledImages(images, evaluation_set.labels)
        yield AccuracyRow(
            split=evaluation_set.split,
            corruption=name,
            severity=0 if name == CLEAN else 1,
            correct=count_correct(model, data, bf16),
            count=len(data),
        )
