"""AugMix's random mixtures of chains of operations, as tables of grey levels.

Autocontrast, equalize, posterize and solarize map every grey level to another, in a way that
depends on nothing but the image's histogram. So a chain of them, and a weighted sum of chains, is a
table of 256 levels: whole batches of tables are computed at once, and each image is looked up in
its own.
"""

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from gon_core.config import AugMix
from gon_core.noise.share import EVERY_ROW

LEVELS = 256
WHITE = LEVELS - 1
LEAST_SEVERITY = 0.1


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
        images: grey levels 0..255 divided by 255; others are rounded to the nearest. The channels
            of an image share one table.
        method: number, length and strength of the chains.
        generator: source of all random numbers, on the images' device; draws for every image.
        rows: which images to mix.
    """
    levels = (images.flatten(1) * WHITE).round_().long()
    chains = draw_chains(histograms(levels), method, generator, rows)
    weights = images.new_empty(len(images), method.width).exponential_(generator=generator)[rows]
    weights = weights / weights.sum(1, keepdim=True)  # a Dirichlet distribution of ones
    mixture = (weights[:, :, None] * chains).sum(1)
    share = images.new_empty(len(images), 1).uniform_(0, 1, generator=generator)[rows]
    identity = torch.arange(LEVELS, device=images.device)
    table = (identity + share * (mixture - identity)).clamp_(0, WHITE) / WHITE
    return table.gather(1, levels[rows]).view(-1, *images.shape[1:])


def histograms(levels: Int64[Tensor, "batch pixel"]) -> Int64[Tensor, "batch level"]:
    """Return how many pixels of each image have each grey level."""
    counts = levels.new_zeros(len(levels), LEVELS)
    return counts.scatter_add_(1, levels, torch.ones_like(levels))


def draw_chains(
    histogram: Int64[Tensor, "batch level"],
    method: AugMix,
    generator: Generator,
    rows: slice = EVERY_ROW,
) -> Int64[Tensor, "row chain level"]:
    """Return the table of each of ``method.width`` chains of each image: level in, level out.

    Each chain has 1 to ``method.max_depth`` operations; each of them is any with equal odds, and
    has a severity of its own, uniform from 0.1 to ``method.severity``. They are drawn for every
    image, and applied to those in ``rows``.
    """
    device, chains = histogram.device, len(histogram) * method.width
    operations = OPERATIONS if method.solarize else OPERATIONS[:-1]
    drawn = {"generator": generator, "device": device}
    depth = torch.randint(1, method.max_depth + 1, (chains,), **drawn)
    kind = torch.randint(len(operations), (method.max_depth, chains), **drawn)
    severity = torch.rand(method.max_depth, chains, **drawn)
    severity = LEAST_SEVERITY + severity * (method.severity - LEAST_SEVERITY)
    if rows != EVERY_ROW:
        chosen_chains = torch.arange(chains, device=device).view(-1, method.width)[rows].flatten()
        depth, kind, severity = (each[..., chosen_chains] for each in (depth, kind, severity))
        histogram = histogram[rows]
    counts = histogram.repeat_interleave(method.width, 0)
    tables = torch.arange(LEVELS, device=device).repeat(len(counts), 1)
    for position in range(method.max_depth):
        for index, operation in enumerate(operations):
            chosen = ((kind[position] == index) & (position < depth)).nonzero()[:, 0]
            arguments = tables[chosen], counts[chosen], severity[position, chosen]
            tables[chosen] = operation(*arguments)
    return tables.view(len(histogram), method.width, LEVELS)


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
OPERATIONS = (autocontrast, equalize, posterize, solarize)
