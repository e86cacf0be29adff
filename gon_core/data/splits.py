"""Which images train, which validate, which test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core import seeding
from gon_core.benchmarks import Benchmark
from gon_core.config import DataConfig


@runtime_checkable
class Images(Protocol):
    """Images and their classes, wherever they are: in memory, or read when a batch is wanted."""

    @property
    def labels(self) -> Int64[Tensor, " image"]:
        """The class of each image, from 0."""
        ...

    @property
    def device(self) -> torch.device:
        """Where labels and batches are."""
        ...

    @property
    def side(self) -> int:
        """The larger of height and width, in pixels."""
        ...

    @property
    def least_area(self) -> float | None:
        """Of an image that a random crop shows, where it is cropped; None if it is not."""
        ...

    def __len__(self) -> int: ...

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return some of the images, levels 0..255."""
        ...

    def batches(
        self, indices: Sequence[Tensor], seed: int | None = None, rows: slice | None = None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``; what is read from files is read ahead.

        With a ``seed`` images that can be cropped at random are: by it and the index of each. Where
        only some ``rows`` of each batch are wanted, the others may be black instead of read.
        """
        ...

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """Return some of the images with their labels."""
        ...

    def first(self, count: int | None) -> "Images":
        """Return the first of the images; all for None."""
        ...

    def to(self, device: str | torch.device) -> "Images":
        """Return the same images on ``device``."""
        ...


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes, in memory.

    Attributes:
        images: levels 0..255.
        labels: the class of each, from 0.
    """

    images: UInt8[Tensor, "image channel height width"]
    labels: Int64[Tensor, " image"]

    @property
    def side(self) -> int:
        """The larger of height and width, in pixels."""
        return max(self.images.shape[2:])

    @property
    def least_area(self) -> None:
        """None: they are as they are."""
        return None

    @property
    def device(self) -> torch.device:
        """Where both are."""
        return self.labels.device

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "LabelledImages":
        return LabelledImages(self.images[index], self.labels[index])

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return some of the images."""
        return self.images[index]

    def batches(
        self, indices: Sequence[Tensor], seed: int | None = None, rows: slice | None = None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``: the images as they are, and all of them."""
        return map(self.batch, indices)

    def first(self, count: int | None) -> "LabelledImages":
        """Return a copy of the first images; a view goes to other processes with all of them."""
        return LabelledImages(self.images[:count].clone(), self.labels[:count].clone())

    def to(self, device: str | torch.device) -> "LabelledImages":
        """Return the same images on ``device``."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    """The images of a benchmark; those of validation are held out of the training set.

    ``chosen`` has the indices of ``test`` among all test images. The last ``stylized`` of the
    training images are stylised versions of others, which some methods alone train on.
    """

    training: Images
    validation: Images
    test: Images
    chosen: Int64[Tensor, " image"]
    benchmark: Benchmark
    stylized: int = 0


def split(
    train_set: Images,
    test_set: Images,
    config: DataConfig,
    listed: Int64[Tensor, " image"] | None = None,
) -> Splits:
    """Hold validation images out of the training set by a fixed seeded permutation.

    The same images are held out at every size: a smaller ``validation_images`` takes some of them,
    see ``DataConfig.sample``, a smaller ``training_images`` the first of the others.

    Args:
        train_set: the data set's training images.
        test_set: its test images.
        config: how many of each to keep, and the seed of the permutation.
        listed: the numbers of those test images that ``config.image_list`` names.

    Raises:
        ValueError: the data set has fewer images than ``config`` needs.
    """
    benchmark = config.benchmark
    held_out_images = benchmark.held_out
    pool = max(0, len(train_set) - held_out_images)
    for name, wanted, available in (
        ("training_images", config.training_images or max(1, pool), pool),
        ("validation_images", config.validation_images, held_out_images),
        ("test_images", config.test_images, len(test_set)),
    ):
        if wanted > available:
            raise ValueError(f"{name} must be at most {available}, got {wanted}")
    stream = seeding.generator(config.split_seed, "validation split")
    if benchmark.holds_out_by_class:
        order = balanced_order(train_set.labels.cpu(), stream)
    else:
        order = torch.randperm(len(train_set), generator=stream)
    held_out, rest = order[:held_out_images], order[held_out_images:]
    validation = sample(train_set.labels[held_out], config.validation_images, config, "validation")
    tested = torch.arange(len(test_set)) if listed is None else listed
    labels = test_set.labels if listed is None else test_set.labels.cpu()[listed]
    chosen = tested[sample(labels, config.test_images, config, "test")]
    return Splits(
        training=train_set[rest[: config.training_images]],
        validation=train_set[held_out[validation]],
        test=test_set[chosen],
        chosen=chosen,
        benchmark=benchmark,
    )


def sample(
    labels: Int64[Tensor, " image"], count: int, config: DataConfig, kind: str
) -> Int64[Tensor, " row"]:
    """Return the indices of ``count`` images, as ``config.sample`` says.

    Args:
        labels: of all images.
        count: how many to take.
        config: says how, and has the seed.
        kind: of the images: names the random stream.
    """
    if config.sample == "first":
        return torch.arange(count)
    name = f"order of {config.benchmark.title}'s {kind} images"
    return balanced_order(labels, seeding.generator(config.split_seed, name))[:count]


def balanced_order(labels: Int64[Tensor, " image"], stream: torch.Generator) -> Tensor:
    """Return the indices of all images, int64, such that the first n have all classes alike.

    Of as many images of each class: any n that is a multiple of the number of classes is balanced.
    """
    shuffled = torch.randperm(len(labels), generator=stream)
    of_class = labels[shuffled]
    turn = torch.zeros_like(of_class)
    for label in of_class.unique():
        turn[of_class == label] = torch.arange(int((of_class == label).sum()))
    return shuffled[torch.argsort(turn, stable=True)]
