"""Sheets of example digits: corruptions, Gaussian noise (Fig. 3) and epsilon* (Fig. 4)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from gon_core import seeding
from gon_core.evaluation.examples import PUBLISHED_SEVERITY, Examples
from gon_core.measurement import CLEAN
from gon_core.noise import add_gaussian_noise
from sweeps.engine.records import TrialResult
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.image_sheet import Cell, Sheet, draw_sheet
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.perturbations import NOISES
from sweeps.engine.report.summary.space import value_text

DIGITS = 3  # in a cell with others beside it
DIGITS_ACROSS = 18  # of a sheet of sigmas, about
COLUMNS = 4  # of a sheet of one severity
SEED = 0  # of the noise in Fig. 3


def draw_corruptions(examples: Examples) -> Figure:
    """Return a sheet of the same digits under every corruption, at every severity there is."""
    severities = sorted({s for by_severity in examples.corrupted.values() for s in by_severity})
    if len(severities) > 1:
        return _draw_severities(examples, severities)
    names = [CLEAN, *examples.corrupted]
    cells: list[Cell] = [list(examples.clean)]
    cells += [list(by_severity[severities[0]]) for by_severity in examples.corrupted.values()]
    missing = -len(cells) % COLUMNS  # cells of the last row
    cells += [()] * missing
    texts = [name.replace("_", " ") for name in names] + [""] * missing
    lines = [f"The first test digits of {len(examples.clean)} classes, as they are evaluated."]
    lines += [f"Severity {s}, of our extension." for s in severities if s != PUBLISHED_SEVERITY]
    sheet = Sheet(_in_rows(cells), notes=_in_rows(texts))
    return draw_sheet(sheet, "The corruptions of MNIST-C", lines)


def _draw_severities(examples: Examples, severities: Sequence[int]) -> Figure:
    clean = list(examples.clean[:DIGITS])
    cells = [
        [clean, *(list(by[s][:DIGITS]) if s in by else [] for s in severities)]
        for by in examples.corrupted.values()
    ]
    published = {PUBLISHED_SEVERITY: " (published)"}
    names = [f"severity {s}{published.get(s, '')}" for s in severities]
    rows = [name.replace("_", " ") for name in examples.corrupted]
    lines = [
        f"MNIST-C has one severity, which is severity {PUBLISHED_SEVERITY} here; the others are "
        f"our extension. The first test digits of {len(clean)} classes, as they are evaluated."
    ]
    title = "The corruptions of MNIST-C, and our extension to five severities"
    return draw_sheet(Sheet(cells, [CLEAN, *names], rows), title, lines)


def draw_sigmas(examples: Examples, sigmas: Sequence[float]) -> Figure:
    """Return Fig. 3 for MNIST: example digits with additive Gaussian noise, clipped.

    Args:
        examples: whose clean digits are shown.
        sigmas: standard deviations in [0, 1] pixel units, each >= 0, a column each.

    Raises:
        ValueError: a sigma is negative or not finite.
    """
    clean = examples.clean.float() / 255
    noisy = []
    for sigma in sigmas:
        # The same draws for all, so that sigma is all that differs.
        noisy.append(add_gaussian_noise(clean, sigma, seeding.generator(SEED, "example noise")))
    sizes = [float((images - clean).flatten(1).norm(dim=1).mean()) for images in noisy]
    columns = [(255 * images).round().to(torch.uint8) for images in noisy]
    beside = max(1, min(DIGITS, DIGITS_ACROSS // max(len(sigmas), 1)))
    starts = range(0, len(clean), beside)
    cells = [[list(images[start : start + beside]) for images in columns] for start in starts]
    empty = [""] * len(sigmas)
    notes = [empty] * (len(cells) - 1) + [[f"{size:.1f}" for size in sizes]]
    sheet = Sheet(cells, [value_text(sigma) for sigma in sigmas], notes=notes, gap=4)
    lines = [
        "Above: sigma, in units of the pixel range [0, 1]. Below: mean l2 size of the noise after "
        "clipping. One draw of noise, scaled."
    ]
    return draw_sheet(
        sheet, "Example images with Gaussian noise of standard deviation sigma", lines
    )


def draw_perturbed(
    summary: SweepSummary,
    perturbed: Mapping[str, Mapping[str, UInt8[Tensor, "sample channel height width"]]],
) -> Figure:
    """Return Fig. 4 for our own runs: digits with noise of the size epsilon*.

    Args:
        summary: a row for each of its points: the first trial that has images.
        perturbed: by trial id and noise, the same digits of all trials; ``clean`` without noise.
    """
    found = {point.point: _first(point, perturbed) for point in summary.compared}
    shown = [point for point in point_rows.shown(summary) if found[point.point]]
    trials = [trial for point in shown if (trial := found[point.point])]
    kinds = {noise for trial in trials for noise in perturbed[trial.trial_id]} - {CLEAN}
    noises = [noise for noise in NOISES if noise in kinds] + sorted(kinds - set(NOISES))
    rows = [point_rows.name(summary, point) for point in shown]
    images = [[perturbed[t.trial_id].get(noise, ()) for noise in noises] for t in trials]
    cells = [[list(cell[:DIGITS]) for cell in row] for row in images]
    notes = [[_size_text(trial, noise) for noise in noises] for trial in trials]
    bold = [point_rows.is_best(summary, point) for point in shown]
    if trials and CLEAN in perturbed[trials[0].trial_id]:
        clean = list(perturbed[trials[0].trial_id][CLEAN][:DIGITS])
        rows, bold = ["without noise", *rows], [False, *bold]
        cells, notes = [[clean] * len(noises), *cells], [[""] * len(noises), *notes]
    lines = [
        "Below each: epsilon*, the l2 size, on images in [0, 1], at which noise makes half of the "
        "test images misclassified; never: no size does. First seed each."
    ]
    sheet = Sheet(cells, [noise.replace("_", " ") for noise in noises], rows, notes, bold)
    title = "Example images with noise of the median perturbation size epsilon*"
    return draw_sheet(sheet, title, point_rows.caption(summary, shown, lines))


def _first(point: PointSummary, perturbed: Mapping[str, object]) -> TrialResult | None:
    measured = (trial for trial in point.trials if trial.is_measured)
    return next((trial for trial in measured if trial.trial_id in perturbed), None)


def _size_text(trial: TrialResult, noise: str) -> str:
    sizes = [row.value for row in trial.of("epsilon_star") if row.setting == noise]
    if not sizes:
        return ""
    return f"{sizes[0]:.1f}" if math.isfinite(sizes[0]) else "never"


def _in_rows(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + COLUMNS] for start in range(0, len(items), COLUMNS)]
