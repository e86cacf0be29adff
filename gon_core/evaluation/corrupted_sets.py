"""Corrupted images made once and shared by all trials."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.corruptions import mnist_c
from gon_core.data.splits import LabelledImages
from gon_core.measurement import CLEAN


@dataclass(frozen=True)
class EvaluationSet:
    """The same images clean and under every corruption.

    Attributes:
        split: ``validation`` or ``test``.
        images: by corruption name, with the uncorrupted ones under ``clean`` first.
        labels: of each image.
    """

    split: str
    images: dict[str, UInt8[Tensor, "image 28 28"]]
    labels: Int64[Tensor, " image"]

    def to(self, device: str | torch.device) -> "EvaluationSet":
        """Return the same set on ``device``."""
        images = {name: tensor.to(device) for name, tensor in self.images.items()}
        return EvaluationSet(self.split, images, self.labels.to(device))


def build(data: LabelledImages, split: str, seed: int) -> EvaluationSet:
    """Return ``data`` under all corruptions of MNIST-C.

    Args:
        data: clean images.
        split: what to call them; different splits are corrupted independently.
        seed: of the corruptions.
    """
    # Validation images must not share their noise with test images of the same index.
    seed = 2 * seed + (split == "test")
    corrupted = {name: mnist_c.corrupt(data.images, name, seed) for name in mnist_c.CORRUPTIONS}
    return EvaluationSet(split, {CLEAN: data.images} | corrupted, data.labels)


@dataclass(frozen=True)
class SeveritySets:
    """Test images at five severities of every corruption, our extension of MNIST-C.

    Attributes:
        images: by corruption and severity.
        labels: of each image.
    """

    images: dict[tuple[str, int], UInt8[Tensor, "image 28 28"]]
    labels: Int64[Tensor, " image"]

    def to(self, device: str | torch.device) -> "SeveritySets":
        """Return the same sets on ``device``."""
        images = {key: tensor.to(device) for key, tensor in self.images.items()}
        return SeveritySets(images, self.labels.to(device))


def build_severities(data: LabelledImages, seed: int) -> SeveritySets:
    """Return test images at every severity; the published one is that of ``build``.

    Args:
        data: clean test images, from the first.
        seed: of the corruptions.
    """
    images = {
        (name, severity): mnist_c.corrupt(data.images, name, 2 * seed + 1, severity=severity)
        for name in mnist_c.CORRUPTIONS
        for severity in mnist_c.SEVERITIES
    }
    return SeveritySets(images, data.labels)


def mixed(evaluation_set: EvaluationSet) -> LabelledImages:
    """Return each image once, under one corruption: image i under corruption i modulo 15.

    Its accuracy estimates the mean over all corruptions at a fifteenth of the cost, which is what
    an epoch of training can afford.
    """
    corrupted = [images for name, images in evaluation_set.images.items() if name != CLEAN]
    count = len(evaluation_set.labels)
    index = torch.arange(count, device=evaluation_set.labels.device)
    stacked = torch.stack(corrupted)
    return LabelledImages(stacked[index % len(corrupted), index], evaluation_set.labels)
