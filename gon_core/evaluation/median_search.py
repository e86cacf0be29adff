"""The search for a few ranks among the sizes of images, such as the median, and no other sizes.

It assumes that an image that is right at one size is right at all smaller ones. Then one forward
pass of an image can be enough: an image that is right at a radius above the median is settled, and
so is one that is wrong at a radius below. A growing sample estimates where the median is. Each pass
also gives the margin of an image, and with it an estimate of its size. These estimates decide
nothing but the number of passes.

References:
    Floyd & Rivest, "Expected time bounds for selection", 1975: two radii that a sample puts around
    the median, and each element compared with the likelier one first.
"""

import math

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from gon_core.evaluation.size_search import Search

FIRST_SAMPLE, STEPS = 10, 8  # it doubles, until an eighth of the images is all that is added
SLACK = 1.5  # standard deviations of a sample's median, beyond which it is not searched
NEAR = 0.4  # times the root of the images in a zone: so many on either side remain in the next
FEW = 3  # images in a zone that are searched by bisection
ROUNDS = 40  # of narrowing before bisection takes over
SHARE_BELOW, LEAST_BELOW, LOOKS_BELOW = 0.03, 12, 3
"""Share of images above the median that are checked below it, the least number, and the radii."""
ENLARGED = 5  # times as many, where the first of them would have every image searched
GOLDEN = (math.sqrt(5) - 1) / 2

Zone = tuple[float, float]
"""Two radii between which a size of some rank is thought to be."""


def find_ranks(search: Search, first: int, middle: int, last: int) -> None:
    """Enclose the sizes of these ranks, from 1, to the precision.

    Args:
        search: of which nothing is known but which images are wrong without noise.
        first: the least rank; 0 is none.
        middle: the median's.
        last: the greatest rank; one more than there are images is none.
    """
    order, count = spread(len(search.data)).to(search.reach.device), len(search.data)
    ranks = [rank for rank in (first, middle, last) if 1 <= rank <= count]
    looked = min(FIRST_SAMPLE, count)
    settle(search, order[:looked], [(search.limit, search.limit)])
    # Where most images are right at any size, the others need no pass.
    while looked < count and _unfinished(search, ranks):
        sample = order[:looked]
        zone, median = _zone_of_sample(search, sample, (first, middle, last))
        more = order[looked : looked + min(looked, math.ceil(count / STEPS))]
        settle(search, more, [zone], likely_above(search, sample, median))
        looked += len(more)
    narrow(search, ranks)


def _zone_of_sample(
    search: Search, sample: Tensor, ranks: tuple[int, int, int]
) -> tuple[Zone, float]:
    """Return where a sample puts the first and the last of three ranks, and the middle one."""
    first, middle, last = (rank / len(search.data) * len(sample) for rank in ranks)
    sizes = search.estimates(sample).sort().values.clamp(max=search.limit)
    left = 1 - len(sample) / len(search.data)
    slack = SLACK * math.sqrt(len(sample) * left) / 2 + 1  # of a binomial without replacement
    low, high = math.floor(first - slack), math.ceil(last + slack)
    zone = (
        float(sizes[low - 1]) if low >= 1 else 0.0,
        float(sizes[high - 1]) if high <= len(sizes) else search.limit,
    )
    return zone, float(sizes[int(middle)])


def spread(count: int) -> Int64[Tensor, " image"]:
    """Return an order of which every beginning is spread evenly over the images.

    MNIST's first half is easier, so that a beginning of the images themselves would not do.

    References:
        The MNIST page says that the first 5,000 test images are cleaner than the last.
    """
    step = round(count * GOLDEN)
    while math.gcd(step, count) != 1:
        step += 1
    return torch.arange(count) * step % count


def likely_above(
    search: Search, index: Int64[Tensor, " some"], size: float
) -> Bool[Tensor, " image"]:
    """Return for all images whether most of the sampled ones of their class are above.

    What a classifier takes strong noise for withstands it longest.
    """
    labels = search.data.labels
    side = torch.where(search.estimates(index) > size, 1, -1)
    votes = torch.zeros(int(labels.max()) + 1, dtype=side.dtype, device=labels.device)
    return votes.index_add_(0, labels[index], side)[labels] >= 0


def settle(
    search: Search,
    index: Int64[Tensor, " some"],
    zones: list[Zone],
    above: Bool[Tensor, " image"] | None = None,
) -> None:
    """Look at images until each is known to be on one side of each zone, or thought to be in it.

    Args:
        search: what is known, and will be.
        index: which images.
        zones: each from a radius to another, or both the same.
        above: by image, where to look first at those that have only been seen without noise.
    """
    while True:
        radius = _next_looks(search, index, zones, above)
        unsettled = radius.isfinite().nonzero()[:, 0]
        if not len(unsettled):
            return
        search.try_at(index[unsettled], radius[unsettled])


def _next_looks(
    search: Search, index: Tensor, zones: list[Zone], above: Tensor | None
) -> Float64[Tensor, " some"]:
    """Return the radius at which to try each image: of the zones' ends the nearest to its size."""
    right, wrong, size = search.right[index], search.wrong[index], search.estimates(index)
    unseen = (right == 0) & wrong.isinf()
    radius, nearest = torch.full_like(right, torch.nan), torch.full_like(right, torch.inf)
    for low, high in zones:
        upward = size >= (low + high) / 2
        if above is not None:
            upward = torch.where(unseen, above[index], upward)
        upward = (wrong > high) & (upward | (right >= low))
        end = torch.where(upward, torch.full_like(right, high), torch.full_like(right, low))
        undecided = (right < end) & (end < wrong)
        within = (right > 0) & wrong.isfinite() & (low < size) & (size < high)
        distance = (size - end).abs()
        chosen = undecided & ~within & (distance < nearest)
        radius, nearest = end.where(chosen, radius), distance.where(chosen, nearest)
    return radius


def narrow(search: Search, ranks: list[int]) -> None:
    """Enclose the sizes of these ranks to the precision, each in a zone that shrinks."""
    zones = dict.fromkeys(ranks, (0.0, search.limit))
    rounds = 0
    while wanted := _unfinished(search, ranks):
        rounds += 1
        aims = {}
        for rank in wanted:
            low, high = search.bracket(rank)
            zone = max(low, zones[rank][0]), min(high, zones[rank][1])
            astray = _is_precise(search, zone)  # too small, or empty, though the rank is not found
            zones[rank] = (low, min(high, search.limit)) if astray or rounds > ROUNDS else zone
            if astray and math.isinf(high):
                aims[rank] = search.limit, search.limit
            elif rounds > ROUNDS:
                aims[rank] = _middle(zones[rank])
            else:
                aims[rank] = _aim(search, rank, zones[rank])
        settle(search, search.everything, list(aims.values()))
        for rank, (low, high) in aims.items():
            if (search.wrong <= low).sum() >= rank:
                zones[rank] = zones[rank][0], low
            elif (search.right >= high).sum() > len(search.right) - rank:
                zones[rank] = high, zones[rank][1]
            else:
                zones[rank] = low, high


def _unfinished(search: Search, ranks: list[int]) -> list[int]:
    return [rank for rank in ranks if not _is_precise(search, search.bracket(rank))]


def _is_precise(search: Search, zone: Zone) -> bool:
    return not zone[1] - zone[0] > search.precision  # the difference of infinities is NaN


def _middle(zone: Zone) -> Zone:
    middle = (zone[0] + zone[1]) / 2
    return middle, middle


def _aim(search: Search, rank: int, zone: Zone) -> Zone:
    """Return a smaller zone, between images that seem to be next to the wanted one."""
    low, high = zone
    in_play = search.everything[(search.wrong > low) & (search.right < high)]
    sizes = search.estimates(in_play).sort().values.clamp(low, high)
    wanted = rank - 1 - int((search.wrong <= low).sum())  # from 0, among those in play
    wanted = min(max(wanted, 0), len(sizes) - 1)
    near = max(1, round(NEAR * math.sqrt(int(((low < sizes) & (sizes < high)).sum()))))
    if len(sizes) <= FEW:
        return _middle(zone)
    smaller = (
        float(sizes[wanted - near]) if wanted >= near else low,
        float(sizes[wanted + near]) if wanted + near < len(sizes) else high,
    )
    return smaller if smaller != zone else _middle(zone)


def look_below(search: Search, middle: int, tolerance: float) -> tuple[int, int]:
    """Look at some of the images that are right at the median's size at smaller ones, too.

    At three radii each, which are spread over all up to the median or the end of the image's reach.

    Args:
        search: after ``find_ranks``.
        middle: the median's rank.
        tolerance: where more than this share are wrong there, several times as many are checked.

    Returns:
        how many were checked, and how many of them are wrong at a smaller size.
    """
    low = search.bracket(middle)[0]
    if low == 0:
        return 0, 0
    order = spread(len(search.data)).to(search.reach.device)
    above = order[(search.right >= low)[order] & (search.reach > 0)[order]]
    count = max(LEAST_BELOW, int(SHARE_BELOW * len(order)))
    wrong = _are_wrong_below(search, above[:count], low)
    if wrong.sum() > tolerance * len(wrong):
        more = above[count : ENLARGED * count]
        wrong = torch.cat([wrong, _are_wrong_below(search, more, low)])
    return len(wrong), int(wrong.sum())


def _are_wrong_below(search: Search, index: Tensor, size: float) -> Bool[Tensor, " some"]:
    farthest = search.reach[index].clamp(max=size)
    wrong = torch.zeros_like(index, dtype=torch.bool)
    shift = torch.arange(1, len(index) + 1, dtype=farthest.dtype, device=index.device)
    shift = shift * GOLDEN % 1
    for step in range(LOOKS_BELOW):
        wrong |= search.look(index, (step + shift) / LOOKS_BELOW * farthest)[0]
    return wrong
