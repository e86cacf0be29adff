"""Which images train, which validate, which test."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core import seeding
from gon_core.config import HELD_OUT, DataConfig


@dataclass(frozen=True)
class LabelledImages:
    """Grey images and their classes, in memory.

    Attributes:
        images: grey levels 0..255.
        labels: classes 0..9.
    """

    images: UInt8[Tensor, "image 28 28"]
    labels: Int64[Tensor, " image"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "LabelledImages":
        return LabelledImages(self.images[index], self.labels[index])

    def first(self, count: int | None) -> "LabelledImages":
        """Return a copy of the first images; a view goes to other processes with all of them."""
        return LabelledImages(self.images[:count].clone(), self.labels[:count].clone())

    def to(self, device: str | torch.device) -> "LabelledImages":
        """Return the same images on ``device``."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """Training, validation and test images; validation is held out of the training set."""

    training: LabelledImages
    validation: LabelledImages
    test: LabelledImages


def split(train_set: LabelledImages, test_set: LabelledImages, config: DataConfig) -> Splits:
    """Hold validation images out of the training set by a fixed seeded permutation.

    The same images are held out at every size: a smaller ``validation_images`` takes the first of
    them, a smaller ``training_images`` the first of the others. Test images keep their order.

    Args:
        train_set: the data set's training images.
        test_set: its test images.
        config: how many of each to keep, and the seed of the permutation.

    Raises:
        ValueError: the data set has fewer images than ``config`` needs.
    """
    pool = max(0, len(train_set) - HELD_OUT)
    for name, wanted, available in (
        ("training_images", config.training_images or max(1, pool), pool),
        ("validation_images", config.validation_images, HELD_OUT),
        ("test_images", config.test_images, len(test_set)),
    ):
        if wanted > available:
            raise ValueError(f"{name} must be at most {available}, got {wanted}")
    order = torch.randperm(
        len(train_set), generator=seeding.generator(config.split_seed, "validation split")
    )
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    return Splits(
        training=train_set[rest[: config.training_images]],
        validation=train_set[held_out[: config.validation_images]],
        test=test_set.first(config.test_images),
    )
