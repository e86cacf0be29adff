"""The same images clean and under every corruption: made once, or batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gon_core.benchmarks import CorruptionSuite
from gon_core.data.splits import Images, LabelledImages
from gon_core.measurement import CLEAN

Key = tuple[str, int]
"""A corruption and its severity."""

CLEAN_KEY: Key = (CLEAN, 0)


@dataclass(frozen=True)
class EvaluationSet:
    """The same images clean and under every corruption at every severity.

    Attributes:
        split: ``validation``, ``test`` or ``test_severities``.
        images: by corruption and severity, those without corruption, (``clean``, 0), first; none
            if there are no such images.
    """

    split: str
    images: Mapping[Key, Images]

    def __len__(self) -> int:
        return len(self.clean) if self.images else 0

    @property
    def clean(self) -> Images:
        """The images without corruption."""
        return self.images[CLEAN_KEY]

    def name(self, key: Key) -> str:
        """Return the key of one version of the images within the set."""
        corruption, severity = key
        is_only_one = sum(name == corruption for name, _ in self.images) == 1
        return corruption if is_only_one else f"{corruption}-{severity}"

    def only(self, key: Key) -> "EvaluationSet":
        """Return the set with one version of the images alone."""
        return replace(self, images={key: self.images[key]})

    @cached_property
    def mixed(self) -> LabelledImages:
        """See the function of this name."""
        corrupted = [images for key, images in self.images.items() if key != CLEAN_KEY]
        found = self.clean.batch(slice(None)).clone()
        for turn, images in enumerate(corrupted[: len(self)]):
            index = torch.arange(turn, len(self), len(corrupted), device=found.device)
            found[index] = images.batch(index)
        return LabelledImages(found, self.clean.labels)

    def to(self, device: str | torch.device) -> "EvaluationSet":
        """Return the same set on ``device``; itself where all of it is there."""
        if all(images.device == torch.device(device) for images in self.images.values()):
            return self
        moved: dict[Key, Images] = {}
        clean = self.images.get(CLEAN_KEY)  # none beside one version alone
        for key, images in self.images.items():
            # What decodes the clean images is shared, with its processes.
            if isinstance(images, CorruptedImages) and images.clean is clean:
                moved[key] = replace(images, clean=moved[CLEAN_KEY])
            else:
                moved[key] = images.to(device)
        return replace(self, images=moved)


@dataclass(frozen=True)
class CorruptedImages:
    """Images under one corruption, which are corrupted whenever a batch of them is wanted."""

    clean: Images
    suite: CorruptionSuite
    corruption: str
    severity: int
    seed: int

    @property
    def labels(self) -> Int64[Tensor, " image"]:
        """Those of the clean images."""
        return self.clean.labels

    @property
    def device(self) -> torch.device:
        """That of the clean images."""
        return self.clean.device

    @property
    def side(self) -> int:
        """That of the clean images."""
        return self.clean.side

    @property
    def least_area(self) -> None:
        """None: they are never cropped at random."""
        return None

    def __len__(self) -> int:
        return len(self.clean)

    def batch(self, index: slice | Tensor) -> UInt8[Tensor, "batch channel height width"]:
        """Return some of the images; each is the same in any batch."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)), device=self.device)
        return self._corrupted(self.clean.batch(index), index)

    def _corrupted(self, clean: Tensor, index: Tensor) -> Tensor:
        made, size = clean.clone(), self.suite.block
        if size == 1:  # each image by itself, and neighbours in one call
            starts = torch.ones_like(index, dtype=torch.bool)
            starts[1:] = index[1:] != index[:-1] + 1
            first = [*starts.nonzero()[:, 0].tolist(), len(index)]
            for here in map(slice, first, first[1:]):
                number, how = int(index[here.start]), (self.corruption, self.severity, self.seed)
                made[here] = self.suite.corrupt(clean[here], *how, number)
            return made
        for block in (index // size).unique().tolist():
            here, first = index // size == block, block * size
            clean = self.clean.batch(slice(first, first + size))
            corrupted = self.suite.corrupt(clean, self.corruption, self.severity, self.seed, first)
            made[here] = corrupted[index[here] - first]
        return made

    def batches(
        self, indices: Sequence[Tensor], seed: int | None = None, rows: slice | None = None
    ) -> Iterator[UInt8[Tensor, "batch channel height width"]]:
        """Yield a batch for each of ``indices``; the clean images are read ahead."""
        for index, clean in zip(indices, self.clean.batches(indices), strict=True):
            yield self._corrupted(clean, index)

    def __getitem__(self, index: slice | Tensor) -> LabelledImages:
        """Return some of the images, corrupted, with their labels."""
        return LabelledImages(self.batch(index), self.labels[index])

    def first(self, count: int | None) -> "CorruptedImages":
        """Return the first of the images."""
        return replace(self, clean=self.clean.first(count))

    def to(self, device: str | torch.device) -> "CorruptedImages":
        """Return the same images on ``device``."""
        return replace(self, clean=self.clean.to(device))


def build(data: Images, split: str, suite: CorruptionSuite, seed: int) -> EvaluationSet:
    """Return ``data`` under all corruptions of a suite at all of its severities.

    Args:
        data: clean images.
        split: what to call them.
        suite: made at once where all copies fit in memory, else when they are read.
        seed: of the corruptions.
    """
    # Validation images must not share their noise with test images of the same index.
    seed = 2 * seed + (split != "validation")
    images: dict[Key, Images] = {CLEAN_KEY: data}
    for corruption, severity in suite.versions:
        if suite.in_memory:
            corrupted = suite.corrupt(data.batch(slice(None)), corruption, severity, seed, 0)
            images[corruption, severity] = LabelledImages(corrupted, data.labels)
        else:
            made_later = CorruptedImages(data, suite, corruption, severity, seed)
            images[corruption, severity] = made_later
    return EvaluationSet(split, images)


def mixed(evaluation_set: EvaluationSet) -> LabelledImages:
    """Return each image once, under one corruption: image i under corruption i modulo 15.

    Its accuracy estimates the mean over all corruptions at a fifteenth of the cost, which is what
    an epoch of training can afford. Where there are several severities, image i is under the i-th
    pair of a corruption and a severity. They are made at the first call alone: photos take longer
    than a trial may take to its first step, and the next trial has the same set.
    """
    return evaluation_set.mixed
