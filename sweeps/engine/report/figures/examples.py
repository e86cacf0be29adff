"""Sheets of example images: corruptions, Gaussian noise (Fig. 3) and epsilon* (Fig. 4)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gon_core import seeding
from gon_core.benchmarks import Benchmark
from gon_core.corruptions.photos.strengths import STRENGTHS
from gon_core.evaluation.examples import Examples
from gon_core.evaluation.perturbed import Perturbed
from gon_core.measurement import CLEAN
from gon_core.noise import add_gaussian_noise
from search_spaces.parameter import Point, value_text
from sweeps.engine.records import TrialResult
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.image_sheet import SMALL, draw_sheet
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.perturbations import in_order

BESIDE = 3  # small images in a cell with other cells beside it
ACROSS = 18  # images of a sheet of sigmas, about
COLUMNS = 4  # of a sheet of one severity
JPEG = "jpeg_compression"
BITS = (5, 4, 3, 2, 1)  # that posterize keeps
SEED = 0  # of the noise in Fig. 3


def draw_corruptions(examples: Examples, benchmark: Benchmark) -> Figure:
    """Return a sheet of the same images under every corruption, at every severity there is."""
    suite, extension = benchmark.suites["test"], benchmark.suites.get("severities")
    published = extension.published if extension else None
    every = examples.corrupted.values()
    severities = sorted({severity for found in every for severity in found})
    is_one = len(severities) <= 1
    title = f"The corruptions of {suite.title}"
    texts = [name.replace("_", " ") for name in examples.corrupted]
    beside = _beside(examples.clean)
    count = len(examples.clean) if is_one else beside
    line = f"The first test images of {count} classes, as they are evaluated."
    if count == 1:
        line = "The first test image, as it is evaluated."
    if is_one:
        cells = [examples.clean, *(images for found in every for images in found.values())]
        notes = _in_rows([CLEAN, *texts], "")
        return draw_sheet(_in_rows(cells, ()), title, [line], notes=notes)
    rows = [[images[:beside] for images in (examples.clean, *found.values())] for found in every]
    names = [f"severity {s}{' (published)' if s == published else ''}" for s in severities]
    if published is not None:
        title += f", and our extension to {len(severities)} severities"
        one = f"{suite.title} has one severity, which is severity {published} here"
        line = f"{one}; the others are our extension. {line}"
    return draw_sheet(rows, title, [line], [CLEAN, *names], texts)


def _in_rows(items: Sequence[Any], empty: Any) -> list[Sequence[Any]]:
    filled = [*items, *[empty] * (-len(items) % COLUMNS)]
    return [filled[start : start + COLUMNS] for start in range(0, len(filled), COLUMNS)]


def _beside(images: Tensor) -> int:
    return BESIDE if images.shape[-1] <= SMALL else 1


def draw_sigmas(examples: Examples, sigmas: Sequence[float]) -> Figure:
    """Return Fig. 3 for these images: with additive Gaussian noise, clipped.

    Args:
        examples: whose clean images are shown.
        sigmas: standard deviations in [0, 1] pixel units, each >= 0, a column each.

    Raises:
        ValueError: a sigma is negative or not finite.
    """
    clean = examples.clean.float() / 255
    # The same draws for all, so that sigma is all that differs.
    noisy = [
        add_gaussian_noise(clean, sigma, seeding.generator(SEED, "example noise"))
        for sigma in sigmas
    ]
    sizes = [float((images - clean).flatten(1).norm(dim=1).mean()) for images in noisy]
    columns = [(255 * images).round().to(torch.uint8) for images in noisy]
    beside = max(1, min(_beside(clean), ACROSS // max(len(sigmas), 1)))
    starts = range(0, len(clean), beside)
    cells = [[images[start : start + beside] for images in columns] for start in starts]
    notes = [[""] * len(sigmas)] * (len(cells) - 1) + [[f"{size:.1f}" for size in sizes]]
    lines = [
        "Above: sigma, in units of the pixel range [0, 1]. Below: mean l2 size of the noise after "
        "clipping. One draw of noise, scaled."
    ]
    title = "Example images with Gaussian noise of standard deviation sigma"
    return draw_sheet(cells, title, lines, list(map(value_text, sigmas)), notes=notes, gap=4)


def draw_posterize(examples: Examples) -> Figure:
    """Return Fig. 5 for these images: JPEG compression beside an operation of AugMix.

    Args:
        examples: of photos, under ``JPEG`` at each severity.
    """
    found = examples.corrupted[JPEG]
    side, beside = examples.clean.shape[-1], _beside(examples.clean)
    jpegs = [examples.clean[:beside], *(images[:beside] for images in found.values())]
    kept = [8, *BITS]
    posterized = [(examples.clean[:beside] >> (8 - bits)) << (8 - bits) for bits in kept]
    notes = [
        [CLEAN, *(f"quality {STRENGTHS[side][JPEG][severity - 1][0]}" for severity in found)],
        [f"{bits} bit{'s' * (bits > 1)}" for bits in kept],
    ]
    lines = [
        f"Above: {JPEG.replace('_', ' ')} at severities 1 to 5. Below: posterize, which keeps the "
        "upper bits of each level; AugMix keeps 4 at severity 1, its own on ImageNet."
    ]
    title = "AugMix's posterize beside JPEG compression"
    return draw_sheet([jpegs, posterized], title, lines, notes=notes, gap=4)


def draw_perturbed(
    summary: SweepSummary, perturbed: Mapping[Point, tuple[TrialResult, Perturbed]]
) -> Figure:
    """Return Fig. 4 for our own runs: images with noise of the size epsilon*.

    Args:
        summary: a row for each of its points that has images.
        perturbed: by point, a trial and, by noise, the same images of all trials; ``clean`` without
            noise. Some have a noise.
    """
    shown = point_rows.shown(summary, having=perturbed)
    trials = [perturbed[point.point] for point in shown]
    noises = in_order({noise for _, images in trials for noise in images} - {CLEAN})
    rows = ["without noise", *(point_rows.name(summary, point) for point in shown)]
    bold = [False, *(point is summary.best for point in shown)]
    clean = trials[0][1][CLEAN]
    beside = _beside(clean)
    clean = clean[:beside]
    cells = [[images.get(noise, ())[:beside] for noise in noises] for _, images in trials]
    cells.insert(0, [clean] * len(noises))
    notes = [[_size_text(trial, noise) for noise in noises] for trial, _ in trials]
    notes.insert(0, [""] * len(noises))
    lines = [
        "Below each: epsilon*, the l2 size, on images in [0, 1], at which noise makes half of the "
        "test images misclassified; never: no size does.",
        point_rows.first_seed(shown),
    ]
    title = "Example images with noise of the median perturbation size epsilon*"
    lines = point_rows.caption(summary, shown, lines)
    names = [noise.replace("_", " ") for noise in noises]
    return draw_sheet(cells, title, lines, names, rows, notes, bold)


def _size_text(trial: TrialResult, noise: str) -> str:
    sizes = [row.value for row in trial.of("epsilon_star") if row.setting == noise]
    if not sizes:
        return ""
    return f"{sizes[0]:.1f}" if math.isfinite(sizes[0]) else "never"
