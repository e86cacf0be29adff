"""AugMix's random mixtures of chains of operations.

Autocontrast, equalize, posterize and solarize map every grey level to another, in a way that
depends on nothing but the image's histogram. So a chain of them, and a weighted sum of chains, is a
table of 256 levels: whole batches of tables are computed at once, and each image is looked up in
its own. Chains that rotate, shear or translate as well are applied to images one operation after
the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from gon_core.config import AugMix
from gon_core.noise import affine
from gon_core.noise.share import EVERY_ROW

LEVELS = 256
WHITE = LEVELS - 1
LEAST_SEVERITY = 0.1
NOTHING = -1  # in the place of an operation


def mix(
    images: Float[Tensor, "batch channel height width"],
    method: AugMix,
    generator: Generator,
    rows: slice = EVERY_ROW,
) -> Float[Tensor, "row channel height width"]:
    """Return a convex combination of each image and of random chains of operations on it.

    The chains of an image have random weights, uniform on the simplex; so has the image itself
    against all of them.

    Args:
        images: grey levels 0..255 divided by 255; others are rounded to the nearest. Without
            ``method.geometric`` the channels of an image share one table.
        method: number, length and strength of the chains, and what they are made of.
        generator: source of all random numbers, on the images' device; draws for every image.
        rows: which images to mix.
    """
    levels = (images * WHITE).round_()
    drawn = draw(len(images), method, generator, rows)
    weights = images.new_empty(len(images), method.width).exponential_(generator=generator)[rows]
    weights = weights / weights.sum(1, keepdim=True)  # a Dirichlet distribution of ones
    share = images.new_empty(len(images), 1).uniform_(0, 1, generator=generator)[rows]
    if method.geometric:
        return _mix_images(levels[rows], drawn, weights, share)
    pixels = levels.flatten(1).long()
    chains = chain_tables(histograms(pixels)[rows], drawn)
    mixture = (weights[:, :, None] * chains).sum(1)
    identity = torch.arange(LEVELS, device=images.device)
    table = (identity + share * (mixture - identity)).clamp_(0, WHITE) / WHITE
    return table.gather(1, pixels[rows]).view(-1, *images.shape[1:])


def _mix_images(
    levels: Float[Tensor, "row channel height width"],
    drawn: "Chains",
    weights: Float[Tensor, "row chain"],
    share: Float[Tensor, "row 1"],
) -> Float[Tensor, "row channel height width"]:
    chains = chain_images(levels, drawn)
    mixture = (weights[:, :, None, None, None] * chains).sum(1)
    return (levels + share[:, :, None, None] * (mixture - levels)).clamp_(0, WHITE) / WHITE


def histograms(levels: Int64[Tensor, "batch pixel"]) -> Int64[Tensor, "batch level"]:
    """Return how many pixels of each image have each grey level."""
    counts = levels.new_zeros(len(levels), LEVELS)
    return counts.scatter_add_(1, levels, torch.ones_like(levels))


class Chains(NamedTuple):
    """What was drawn for the chains of some images, those of an image one after the other.

    Attributes:
        width: chains of an image.
        depth: operations in each chain.
        kind: the index in ``OPERATIONS`` of each operation, by position in its chain.
        severity: how far each operation goes, from 0.1.
        sign: the direction of each operation that has one: -1 or 1; None where none has.
    """

    width: int
    depth: Int64[Tensor, " chain"]
    kind: Int64[Tensor, "position chain"]
    severity: Float[Tensor, "position chain"]
    sign: Float[Tensor, "position chain"] | None


def draw(count: int, method: AugMix, generator: Generator, rows: slice = EVERY_ROW) -> Chains:
    """Draw chains for ``count`` images, and return those of the images in ``rows``.

    Each chain has 1 to ``method.max_depth`` operations; each of them is any with equal odds, and
    has a severity of its own, uniform from 0.1 to ``method.severity``.
    """
    device, chains = generator.device, count * method.width
    kinds = len(OPERATIONS if method.geometric else LEVEL_OPERATIONS) - (not method.solarize)
    random = {"generator": generator, "device": device}
    depth = torch.randint(1, method.max_depth + 1, (chains,), **random)
    kind = torch.randint(kinds, (method.max_depth, chains), **random)
    severity = torch.rand(method.max_depth, chains, **random)
    severity = LEAST_SEVERITY + severity * (method.severity - LEAST_SEVERITY)
    sign = None
    if method.geometric:
        skipped = len(LEVEL_OPERATIONS) - 1  # solarize, the last of them
        kind = kind if method.solarize else kind + (kind >= skipped)
        sign = torch.randint(2, (method.max_depth, chains), **random) * 2.0 - 1
    if rows != EVERY_ROW:
        chosen = torch.arange(chains, device=device).view(-1, method.width)[rows].flatten()
        depth, kind, severity = (each[..., chosen] for each in (depth, kind, severity))
        sign = None if sign is None else sign[..., chosen]
    return Chains(method.width, depth, kind, severity, sign)


def chain_tables(
    histogram: Int64[Tensor, "row level"], drawn: Chains
) -> Int64[Tensor, "row chain level"]:
    """Return the table of each chain of each image, given histograms: level in, level out."""
    counts = histogram.repeat_interleave(drawn.width, 0)
    tables = torch.arange(LEVELS, device=counts.device).repeat(len(counts), 1)
    for position, kind in enumerate(drawn.kind):
        if not picks_rows(counts.device):
            kind = kind.where(position < drawn.depth, NOTHING)
            tables = _tables_of_all(tables, counts, kind, drawn.severity[position])
            continue
        for index, operation in enumerate(LEVEL_OPERATIONS):
            chosen = ((kind == index) & (position < drawn.depth)).nonzero()[:, 0]
            arguments = tables[chosen], counts[chosen], drawn.severity[position, chosen]
            tables[chosen] = operation(*arguments)
    return tables.view(len(histogram), drawn.width, LEVELS)


def chain_images(
    levels: Float[Tensor, "row channel height width"], drawn: Chains
) -> Float[Tensor, "row chain channel height width"]:
    """Return each image, in levels 0..255, after each of its chains; each channel by its levels."""
    assert drawn.sign is not None, "drawn for chains of levels alone"
    images = levels.repeat_interleave(drawn.width, 0)
    for position, kind in enumerate(drawn.kind):
        if not picks_rows(images.device):
            kind = kind.where(position < drawn.depth, NOTHING)
            images = _all_images(images, kind, drawn.severity[position], drawn.sign[position])
            continue
        for index, operation in enumerate(OPERATIONS):
            chosen = ((kind == index) & (position < drawn.depth)).nonzero()[:, 0]
            severity, sign = drawn.severity[position, chosen], drawn.sign[position, chosen]
            if index < len(LEVEL_OPERATIONS):
                images[chosen] = by_levels(operation, images[chosen], severity)
            else:
                matrix = operation(images[chosen], severity, sign)
                images[chosen] = affine.transform(images[chosen], matrix)
    return images.view(len(levels), drawn.width, *levels.shape[1:])


def picks_rows(device: torch.device) -> bool:
    """Return whether each operation is done for the chains alone that have it.

    That is least work. A GPU does each for all chains, with the same results: it would have to tell
    the host how many have it, and no graph could hold the step.
    """
    return device.type == "cpu"


def _tables_of_all(
    tables: Int64[Tensor, "chain level"],
    counts: Int64[Tensor, "chain level"],
    kind: Int64[Tensor, " chain"],
    severity: Float[Tensor, " chain"],
) -> Int64[Tensor, "chain level"]:
    """Return each table after the operation on levels that its chain has, if it has one."""
    found = tables
    for index, operation in enumerate(LEVEL_OPERATIONS):
        found = torch.where((kind == index)[:, None], operation(tables, counts, severity), found)
    return found


def _all_images(
    images: Float[Tensor, "chain channel height width"],
    kind: Int64[Tensor, " chain"],
    severity: Float[Tensor, " chain"],
    sign: Float[Tensor, " chain"],
) -> Float[Tensor, "chain channel height width"]:
    """Return each image in levels 0..255 after the operation that its chain has, if it has one."""
    channels = images.flatten(0, 1).flatten(1).long()
    start = torch.arange(LEVELS, device=images.device).repeat(len(channels), 1)
    of_channel = (
        kind.repeat_interleave(images.shape[1]),
        severity.repeat_interleave(images.shape[1]),
    )
    tables = _tables_of_all(start, histograms(channels), *of_channel)
    images = tables.gather(1, channels).view(images.shape).to(images.dtype)
    matrix = affine.unmoved(images)
    for index, operation in enumerate(affine.OPERATIONS, len(LEVEL_OPERATIONS)):
        is_chosen = (kind == index)[:, None, None]
        matrix = torch.where(is_chosen, operation(images, severity, sign), matrix)
    is_moved = (kind >= len(LEVEL_OPERATIONS))[:, None, None, None]
    return torch.where(is_moved, affine.transform(images, matrix), images)


def by_levels(
    operation: Callable[..., Tensor],
    images: Float[Tensor, "chain channel height width"],
    severity: Float[Tensor, " chain"],
) -> Float[Tensor, "chain channel height width"]:
    """Return images in levels 0..255 after an operation on the levels of each channel."""
    channels = images.flatten(0, 1).flatten(1).long()
    start = torch.arange(LEVELS, device=images.device).repeat(len(channels), 1)
    strengths = severity.repeat_interleave(images.shape[1])
    tables = operation(start, histograms(channels), strengths)
    return tables.gather(1, channels).view(images.shape).to(images.dtype)


def autocontrast(
    tables: Int64[Tensor, "chain level"],
    counts: Int64[Tensor, "chain level"],
    severity: Float[Tensor, " chain"],
) -> Int64[Tensor, "chain level"]:
    """Stretch the levels that are present to 0..255; an image of one level stays as it is."""
    present = counts > 0
    low = tables.where(present, WHITE).amin(-1, keepdim=True)
    span = tables.where(present, 0).amax(-1, keepdim=True) - low
    stretched = ((tables - low) * WHITE // span.clamp_min(1)).clamp_(0, WHITE)
    return torch.where(span > 0, stretched, tables)


def equalize(
    tables: Int64[Tensor, "chain level"],
    counts: Int64[Tensor, "chain level"],
    severity: Float[Tensor, " chain"],
) -> Int64[Tensor, "chain level"]:
    """Make all levels about equally frequent, in steps of whole pixels as Pillow does.

    An image whose pixels below its brightest level are fewer than 255 stays as it is.
    """
    histogram = torch.zeros_like(tables).scatter_add_(-1, tables, counts)
    levels = torch.arange(LEVELS, device=tables.device)
    brightest = levels.where(histogram > 0, 0).amax(-1, keepdim=True)
    pixels = histogram.sum(-1, keepdim=True)
    width = (pixels - histogram.gather(-1, brightest)) // WHITE
    below = histogram.cumsum(-1) - histogram
    equal = ((below + width // 2) // width.clamp_min(1)).clamp_(0, WHITE)
    return torch.where(width > 0, equal.gather(-1, tables), tables)


def posterize(
    tables: Int64[Tensor, "chain level"],
    counts: Int64[Tensor, "chain level"],
    severity: Float[Tensor, " chain"],
) -> Int64[Tensor, "chain level"]:
    """Keep the upper four bits of each level, or fewer by two fifths of the severity."""
    dropped = 4 + (severity * 4 / 10).long()[:, None]
    return (tables >> dropped) << dropped


def solarize(
    tables: Int64[Tensor, "chain level"],
    counts: Int64[Tensor, "chain level"],
    severity: Float[Tensor, " chain"],
) -> Int64[Tensor, "chain level"]:
    """Invert the brightest levels, a tenth of all for each unit of the severity."""
    inverted = (severity * LEVELS / 10).long()[:, None]
    return torch.where(tables < LEVELS - inverted, tables, WHITE - tables)


# Each takes the tables so far, how many pixels had each level at first, and severities.
LEVEL_OPERATIONS = (autocontrast, equalize, posterize, solarize)
OPERATIONS = (*LEVEL_OPERATIONS, *affine.OPERATIONS)
