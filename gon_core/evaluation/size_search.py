"""What a search for the sizes of noise at which images are misclassified has learned so far."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Generator, Tensor, nn

from gon_core.data.splits import LabelledImages
from gon_core.evaluation.noise_directions import Noise
from gon_core.noise import scale_to_sphere

BATCH_SIZE = 250
GRID = 32
"""Radii at which misclassification is looked at, up to the largest that any image can reach."""
SAMPLE_SHARE, LEAST_SAMPLE = 0.01, 50
# Shares of the images by which the first probe is aimed below the median, and others beyond it.
AIM, MARGIN = 0.05, 0.03
PART, CALIBRATIONS = 20, 2  # every so many images say where to aim, so many times


@dataclass
class Search:
    """What is known of each image's size: right at ``right``, wrong at ``wrong``, in between not.

    Attributes:
        right: largest size below which no misclassification is known of; infinity for "never".
        wrong: least size known to be wrong; 0 where it is so without noise.
        reach: largest size that the image's noise can lead to.
        forwards: images that went through the classifier.
    """

    model: nn.Module
    data: LabelledImages
    directions: Tensor
    precision: float
    reach: Float64[Tensor, " image"]
    forwards: int = 0
    right: Float64[Tensor, " image"] = field(init=False)
    wrong: Float64[Tensor, " image"] = field(init=False)

    def __post_init__(self) -> None:
        self.right = torch.zeros_like(self.reach)
        self.wrong = torch.full_like(self.reach, torch.inf)
        everything = torch.arange(len(self.data), device=self.reach.device)
        self.wrong[self.is_wrong(everything, torch.zeros_like(self.reach))] = 0.0

    def is_wrong(
        self, index: Int64[Tensor, " some"], size: Float64[Tensor, " some"]
    ) -> Bool[Tensor, " some"]:
        """Return which images are misclassified at a size each; beyond its reach one stays."""
        self.forwards += len(index)
        wrong = [torch.zeros(0, dtype=torch.bool, device=index.device)]
        for part, sizes in zip(index.split(BATCH_SIZE), size.split(BATCH_SIZE), strict=True):
            images, direction = _pixels(self.data, part), self.directions[part]
            within = sizes < self.reach[part]
            noisy = scale_to_sphere(images, direction, sizes.where(within, 0.0))
            noisy = torch.where(within.view(-1, 1, 1, 1), noisy, _farthest(images, direction))
            noisy = torch.where((sizes == 0).view(-1, 1, 1, 1), images, noisy)
            wrong.append(self.model(noisy).argmax(1) != self.data.labels[part])
        return torch.cat(wrong)

    def try_at(self, index: Int64[Tensor, " some"], size: Float64[Tensor, " some"]) -> None:
        """Look at undecided images at a size each."""
        self.learn(index, size, self.is_wrong(index, size))

    def learn(
        self,
        index: Int64[Tensor, " some"],
        size: Float64[Tensor, " some"],
        wrong: Bool[Tensor, " some"],
    ) -> None:
        """Remember what undecided images were at a size each; beyond their reach is for ever."""
        reach = self.reach[index]
        self.wrong[index[wrong]] = torch.minimum(size, reach)[wrong]
        self.right[index[~wrong]] = torch.where(size < reach, size, torch.inf)[~wrong]

    def probe(self, radius: float, every: int = 1) -> None:
        """Settle on which side of a common radius the size of each image is, or of some."""
        index = ((self.right < radius) & (radius < self.wrong)).nonzero()[:, 0]
        index = index[index % every == 0]
        self.try_at(index, torch.full_like(self.reach[index], radius))

    def exhaust(self) -> None:
        """Settle which of the images that were right so far always are."""
        index = (self.wrong.isinf() & self.right.isfinite()).nonzero()[:, 0]
        self.try_at(index, self.reach[index])

    def bracket(self, rank: int) -> tuple[float, float]:
        """Return limits of the size of this rank, from 1; both infinity for "never"."""
        if rank < 1:
            return 0.0, 0.0
        if rank > len(self.right):
            return torch.inf, torch.inf
        return (float(self.right.kthvalue(rank).values), float(self.wrong.kthvalue(rank).values))

    def grid(self) -> list[float]:
        """Return the radii to look at, ascending; no image's noise reaches beyond the last."""
        return [float(self.reach.max()) * step / GRID for step in range(1, GRID + 1)]

    def look_at_sample(self) -> tuple[Int64[Tensor, " some"], int]:
        """Look at some images on the whole grid, then search them.

        Returns:
            those of the sample that are right without noise, and how many of them are right again
            at a larger radius than one at which they are wrong.
        """
        index = evenly(len(self.data)).to(self.reach.device)
        index = index[self.wrong[index] > 0]
        seen = torch.zeros_like(index, dtype=torch.bool)
        again = seen.clone()
        for radius in self.grid():
            radii = torch.full_like(self.reach[index], radius)
            wrong = self.is_wrong(index, radii)
            self.learn(index[~seen], radii[~seen], wrong[~seen])
            again |= seen & ~wrong
            seen |= wrong
        self.bisect(index)
        return index, int(again.sum())

    def search_each(self) -> None:
        """Search every image that is undecided: along the grid, then by bisection."""
        for radius in self.grid():
            # An image found wrong, or at the end of its reach, is left out of the others.
            index = (self.wrong.isinf() & (self.right < radius)).nonzero()[:, 0]
            self.try_at(index, torch.full_like(self.reach[index], radius))
        self.bisect(torch.arange(len(self.reach), device=self.reach.device))

    def bisect(self, index: Int64[Tensor, " some"]) -> None:
        """Narrow the size of each of these images that is known to have one."""
        while len(index):
            gap = self.wrong[index] - self.right[index]
            index = index[(gap > self.precision) & gap.isfinite() & (self.wrong[index] > 0)]
            self.try_at(index, (self.wrong[index] + self.right[index]) / 2)

    def enclose(self, first: int, last: int, guesses: Float64[Tensor, " some"]) -> None:
        """Probe one radius below the sizes of these ranks, and one above, near them both.

        Whichever side the first probe is on, half of the images are settled; so it is aimed below
        all ranks, not among them, where both halves would have to be looked at again; a part of the
        images says where that is. How far to go says the spread of the guesses: half of the images
        are within it.
        """
        guesses, count = guesses.sort().values, len(self.reach)
        quarter = len(guesses) // 4
        spread = float(guesses[-1 - quarter] - guesses[quarter])
        limit = float(self.reach.max())
        start = float(guesses[(len(guesses) - 1) // 2]) - 2 * spread * AIM
        if not 0 < spread < torch.inf:
            return
        for _ in range(CALIBRATIONS):
            if not 0 < start < limit:
                return
            self.probe(start, every=PART)
            wrong = (self.wrong[::PART] <= start).double().mean()
            start -= 2 * spread * (float(wrong) - (0.5 - AIM))
        if not 0 < start < limit:
            return
        self.probe(start)
        radius = start
        while radius < limit and (wrong := self.count_wrong(radius)) < last:
            radius += 2 * spread * ((last - wrong) / count + MARGIN)
            self.probe(radius)
        radius = start
        while radius > 0 and (wrong := self.count_wrong(radius)) >= first:
            radius -= 2 * spread * ((wrong - first) / count + MARGIN)
            self.probe(radius)

    def count_wrong(self, radius: float) -> int:
        """Return how many images are wrong at a radius that was probed."""
        return int((self.wrong <= radius).sum())

    def narrow(self, rank: int) -> None:
        """Enclose the size of this rank to the precision, by bisection on a common radius."""
        low, high = self.bracket(rank)
        while high - low > self.precision:
            self.probe((low + high) / 2)
            low, high = self.bracket(rank)


def start(
    model: nn.Module, data: LabelledImages, noise: Noise, stream: Generator, precision: float
) -> Search:
    """Draw the noise of all images, and look at them without it.

    Args:
        model: the classifier, ``frozen``.
        data, noise, stream, precision: as for ``median_perturbation_size``.
    """
    directions, reach = [], []
    for index in torch.arange(len(data), device=data.labels.device).split(BATCH_SIZE):
        images = _pixels(data, index)
        directions.append(noise.sample(images, stream))
        moved = (_farthest(images, directions[-1]) - images).flatten(1)
        reach.append(moved.double().norm(dim=1))
    return Search(model, data, torch.cat(directions), precision, torch.cat(reach))


def evenly(count: int) -> Int64[Tensor, " some"]:
    """Return which of ``count`` images are the sample: MNIST's first half is easier, so not those.

    References:
        The MNIST page says that the first 5,000 test images are cleaner than the last.
    """
    size = min(count, max(LEAST_SAMPLE, int(SAMPLE_SHARE * count)))
    return torch.arange(size) * count // size


def _pixels(data: LabelledImages, index: Tensor) -> Tensor:
    return data.images[index].unsqueeze(1).float().div_(255)


def _farthest(images: Tensor, direction: Tensor) -> Tensor:
    """Return what every pixel becomes when its noise grows without limit."""
    return torch.where(direction == 0, images, (direction > 0).to(images.dtype))
