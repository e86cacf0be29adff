"""The state of a search for the sizes of noise at which images are misclassified."""

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Generator, Tensor, nn

from gon_core.data.splits import Images, LabelledImages
from gon_core.evaluation.accuracy import LARGE, batch_size, pass_size
from gon_core.evaluation.noise_directions import (
    Directions,
    KeptDirections,
    Noise,
    RedrawnDirections,
)
from gon_core.noise import scale_to_sphere
from gon_core.training.recordings import MakeRecordings, Recordings, on_device

GRID = 32
"""Radii that a search for each image tries, up to the largest that any image can reach."""
EDGE = 0.02  # of the distance of two tried sizes: no estimate is nearer to either
LEAST_ROWS = 64  # of a graph: it takes time to record one more


class _Looks(NamedTuple):
    """What some looks read, and what they see.

    In memory of a graph those behind the wanted ones are of an earlier time.
    """

    which: Int64[Tensor, " row"]
    size: Float64[Tensor, " row"]
    wrong: Bool[Tensor, " row"]
    margin: Float64[Tensor, " row"]


@dataclass
class Search:
    """What is known of each image's size: right at ``right``, wrong at ``wrong``, in between not.

    Attributes:
        right: largest size below which no misclassification is known of; infinity for "never".
        wrong: least size known to be wrong; 0 where it is so without noise.
        reach: largest size that the image's noise can lead to.
        everything: the index of every image.
        limit: the largest reach.
        margin: by how much the logit of its label is above all others, without noise.
        margin_right: the same at ``right``.
        margin_wrong: the same at ``wrong``.
        recordings: does the looks.
        forwards: images that went through the classifier.
    """

    model: nn.Module
    data: Images
    directions: Directions
    precision: float
    reach: Float64[Tensor, " image"]
    recordings: Recordings
    forwards: int = 0
    everything: Int64[Tensor, " image"] = field(init=False)
    limit: float = field(init=False)
    right: Float64[Tensor, " image"] = field(init=False)
    wrong: Float64[Tensor, " image"] = field(init=False)
    margin: Float64[Tensor, " image"] = field(init=False)
    margin_right: Float64[Tensor, " image"] = field(init=False)
    margin_wrong: Float64[Tensor, " image"] = field(init=False)
    _places: dict[int, _Looks] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.limit = float(self.reach.max())
        self.everything = torch.arange(len(self.data), device=self.reach.device)
        wrong, self.margin = self.look(self.everything, torch.zeros_like(self.reach))
        self.wrong = torch.where(wrong, 0.0, torch.inf).to(self.reach)
        self.right = self._right_at_first()
        self.margin_right, self.margin_wrong = self.margin.clone(), self.margin.clone()

    def look(
        self, index: Int64[Tensor, " some"], size: Float64[Tensor, " some"]
    ) -> tuple[Bool[Tensor, " some"], Float64[Tensor, " some"]]:
        """Return which images are misclassified at a size each, and their margins there.

        Beyond its reach an image stays what it is at the end of it.
        """
        self.forwards += len(index)
        wrong = [torch.zeros(0, dtype=torch.bool, device=index.device)]
        margins = [torch.zeros(0, dtype=torch.float64, device=index.device)]
        together = pass_size(self.data)
        for part, sizes in zip(index.split(together), size.split(together), strict=True):
            if not len(part):  # an empty index has one part, which not every model takes
                continue
            looks = self._placed(part, sizes)
            self.recordings.run("look", partial(self._look, looks), len(looks.which))
            wrong.append(looks.wrong[: len(part)].clone())  # the next part has the same place
            margins.append(looks.margin[: len(part)].clone())
        return torch.cat(wrong), torch.cat(margins)

    def _placed(self, index: Tensor, size: Tensor) -> _Looks:
        """Return what is to be looked at; for a graph where it is read, of a power of two rows."""
        count = len(index)
        wrong, margin = torch.empty_like(index, dtype=torch.bool), torch.empty_like(size)
        if not self.recordings.records:
            return _Looks(index, size, wrong, margin)
        rows = max(LEAST_ROWS, 1 << (count - 1).bit_length())
        if rows not in self._places:
            looks = (index, size, wrong, margin)
            self._places[rows] = _Looks(*(each.new_zeros(rows) for each in looks))
        place = self._places[rows]
        place.which[:count], place.size[:count] = index, size
        return place

    def _look(self, looks: _Looks) -> None:
        index, sizes = looks.which, looks.size
        images = _pixels(self.data, index)
        direction = self.directions.of(index, images)
        within = sizes < self.reach[index]
        noisy = scale_to_sphere(
            images, direction, sizes.where(within, 0.0), fixed_steps=self.recordings.records
        )
        noisy = torch.where(within.view(-1, 1, 1, 1), noisy, _farthest(images, direction))
        noisy = torch.where((sizes == 0).view(-1, 1, 1, 1), images, noisy)
        logits, label = self.model(noisy).double(), self.data.labels[index].unsqueeze(1)
        looks.wrong.copy_(logits.argmax(1) != label[:, 0])
        others = logits.scatter(1, label, -torch.inf).amax(1)
        looks.margin.copy_(logits.gather(1, label)[:, 0] - others)

    def try_at(self, index: Int64[Tensor, " some"], size: Float64[Tensor, " some"]) -> None:
        """Classify undecided images at a size each and record it; at their reach it is final."""
        wrong, margin = self.look(index, size)
        reach = self.reach[index]
        # Not by ``[wrong]``, for whose length the host would wait.
        right_up_to = torch.where(size < reach, size, torch.inf)
        self.wrong[index] = torch.where(wrong, torch.minimum(size, reach), self.wrong[index])
        self.margin_wrong[index] = torch.where(wrong, margin, self.margin_wrong[index])
        self.right[index] = torch.where(wrong, self.right[index], right_up_to)
        self.margin_right[index] = torch.where(wrong, self.margin_right[index], margin)

    def estimates(self, index: Int64[Tensor, " some"]) -> Float64[Tensor, " some"]:
        """Return where the margins would vanish if they fell along straight lines.

        It is between ``right`` and ``wrong``, or from ``right`` to the reach where the image is not
        known to be wrong anywhere; 0 and infinity where they are known.
        """
        right, wrong, reach = self.right[index], self.wrong[index], self.reach[index]
        margin, lost = self.margin_right[index], self.margin[index] - self.margin_right[index]
        share = (margin / (margin - self.margin_wrong[index])).nan_to_num(0.5).clamp(EDGE, 1 - EDGE)
        beyond = torch.where(lost > 0, right + right * margin / lost, torch.inf)
        beyond = torch.minimum(beyond.nan_to_num(torch.inf), reach).maximum(right)
        between = torch.where(wrong.isinf(), beyond, right + share * (wrong - right))
        return torch.where(wrong == 0, 0.0, torch.where(right.isinf(), torch.inf, between))

    def bracket(self, rank: int) -> tuple[float, float]:
        """Return limits of the size of this rank, from 1; both infinity for "never"."""
        if rank < 1:
            return 0.0, 0.0
        if rank > len(self.right):
            return torch.inf, torch.inf
        limits = [sizes.kthvalue(rank).values for sizes in (self.right, self.wrong)]
        low, high = torch.stack(limits).tolist()  # one read from the device
        return low, high

    def exhaust(self) -> None:
        """Settle which of the images that were right so far are so at the end of their reach."""
        index = self.everything[self.wrong.isinf() & self.right.isfinite()]
        self.try_at(index, self.reach[index])

    def search_each(self) -> None:
        """Search every image afresh: along the grid, then by bisection."""
        self.right = self._right_at_first()
        self.wrong[self.wrong > 0] = torch.inf
        for step in range(1, GRID + 1):
            radius = self.limit * step / GRID
            # An image found wrong, or at the end of its reach, is left out of the others.
            index = self.everything[self.wrong.isinf() & (self.right < radius)]
            self.try_at(index, torch.full_like(self.reach[index], radius))
        self.bisect(self.everything)

    def _right_at_first(self) -> Tensor:
        """Return 0, or infinity where noise cannot change an image that is right without it."""
        unchanging = (self.reach == 0) & (self.wrong > 0)
        return torch.where(unchanging, torch.inf, 0.0).to(self.reach)

    def bisect(self, index: Int64[Tensor, " some"]) -> None:
        """Narrow the size of each of these images that is known to have one."""
        while len(index):
            gap = self.wrong[index] - self.right[index]
            index = index[(gap > self.precision) & gap.isfinite() & (self.wrong[index] > 0)]
            self.try_at(index, (self.wrong[index] + self.right[index]) / 2)


def start(
    model: nn.Module,
    data: Images,
    noise: Noise,
    stream: Generator,
    precision: float,
    recordings: MakeRecordings = on_device,
) -> Search:
    """Draw the noise of all images, and classify them without it.

    Of large images no more than a batch is in memory, and no more of their noise.

    Args:
        model: the classifier, ``frozen``.
        data, noise, stream, precision, recordings: as for ``median_perturbation_size``.
    """
    device, kept, reach = data.labels.device, [], []
    redrawn: RedrawnDirections | None = None
    if data.side >= LARGE:
        seeds = torch.randint(2**62, (len(data),), generator=stream, device=device)
        redrawn = RedrawnDirections(noise, seeds)
    for index in torch.arange(len(data), device=device).split(batch_size(data)):
        images = _pixels(data, index)
        if redrawn is None:
            kept.append(noise.sample(images, stream))
        direction = kept[-1] if redrawn is None else redrawn.of(index, images)
        moved = (_farthest(images, direction) - images).flatten(1)
        reach.append(moved.double().norm(dim=1))
    directions = KeptDirections(torch.cat(kept)) if redrawn is None else redrawn
    # Noise that is drawn again, and images that are decoded, take work of the host.
    is_there = redrawn is None and isinstance(data, LabelledImages)
    works = recordings(device, []) if is_there else Recordings(None)
    return Search(model, data, directions, precision, torch.cat(reach), works)


def _pixels(data: Images, index: Tensor) -> Tensor:
    return data.batch(index).float().div_(255)


def _farthest(images: Tensor, direction: Tensor) -> Tensor:
    """Return what every pixel becomes when its noise grows without limit."""
    return torch.where(direction == 0, images, (direction > 0).to(images.dtype))
