"""The figures of the paper's appendix from our own records, for every sweep that has them."""

import logging
from collections.abc import Callable
from typing import TypeVar

from safetensors import SafetensorError

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import examples, perturbed
from gon_core.measurement import SEVERITIES_SPLIT, TOP1
from search_spaces.sigma import PAPER_GRID
from sweeps.engine.records import EXAMPLES, PERTURBED, SweepRecords
from sweeps.engine.records.storage import NOT_THERE, Folder
from sweeps.engine.report.figures.catalogue import IN_PARQUET, IN_TABLES, Drawing
from sweeps.engine.report.figures.corruption_bars import draw_corruption_bars
from sweeps.engine.report.figures.examples import (
    draw_corruptions,
    draw_perturbed,
    draw_sigmas,
)
from sweeps.engine.report.figures.perturbations import draw_perturbations, perturbation_title
from sweeps.engine.report.figures.severities import draw_severities
from sweeps.engine.report.summary.aggregate import SweepSummary

SHOWN_SIGMAS = 8  # of the published ones, where a sweep has none of its own
Content = TypeVar("Content")

log = logging.getLogger(__name__)


def appendix_drawings(summary: SweepSummary, records: SweepRecords) -> list[Drawing]:
    """Return the figures for which there are records, in the paper's order.

    A file of examples that is damaged costs its figure, with a warning, and nothing else.
    """
    found = []
    if any(trial.of(TOP1, SEVERITIES_SPLIT) for trial in summary.trials):
        found.append(
            Drawing(
                "accuracy_vs_severity",
                "Accuracy against severity for each corruption, as Fig. 1 of the paper's "
                "appendix; the five severities are our extension of MNIST-C, whose published one "
                "is the third.",
                lambda: draw_severities(summary),
                IN_PARQUET,
            )
        )
    shown = _read(records.folder, EXAMPLES, examples.load)
    if shown is not None:
        sigmas = _sigmas(summary)
        found.append(
            Drawing(
                "examples_by_sigma",
                "Test images with Gaussian noise of each sigma, as Fig. 3 of the paper's appendix.",
                lambda: draw_sigmas(shown, sigmas),
            )
        )
    found += _perturbations(summary, records)
    if summary.measured and summary.corruptions == CORRUPTIONS:
        found.append(
            Drawing(
                "mnist_c_per_corruption",
                f"{summary.measure.replace(' mean', '')}, corruption by corruption.",
                lambda: draw_corruption_bars(summary),
                IN_TABLES,
            )
        )
    if shown is not None:
        caption = "Every corruption on the same test images."
        found.append(Drawing("corruptions", caption, lambda: draw_corruptions(shown)))
    return found


def _perturbations(summary: SweepSummary, records: SweepRecords) -> list[Drawing]:
    found = []
    images = {
        trial.trial_id: content
        for trial in summary.trials
        if trial.may_have(PERTURBED)
        and (content := _read(records.trial(trial.trial_id).folder, PERTURBED, perturbed.load))
    }
    if images:
        caption = (
            "Test images with noise of the size epsilon* that fools each model, as Fig. 4 of the "
            "paper's appendix."
        )
        found.append(
            Drawing("examples_by_epsilon_star", caption, lambda: draw_perturbed(summary, images))
        )
    if any(trial.of("attacks") or trial.of("epsilon_star") for trial in summary.trials):
        published = summary.published.attacks
        found.append(
            Drawing(
                "epsilon_star_and_attacks",
                f"{perturbation_title(summary.trials)}.",
                lambda: draw_perturbations(summary, published),
                IN_TABLES,
            )
        )
    return found


def _sigmas(summary: SweepSummary) -> list[float]:
    own = [point.point[0] for point in summary.points] if summary.names == ("sigma",) else []
    sigmas = sorted({float(value) for value in own} or set(PAPER_GRID))
    if len(sigmas) <= SHOWN_SIGMAS:
        return sigmas
    step = (len(sigmas) - 1) / (SHOWN_SIGMAS - 1)
    return [sigmas[round(index * step)] for index in range(SHOWN_SIGMAS)]


def _read(folder: Folder, name: str, load: Callable[[bytes], Content]) -> Content | None:
    try:
        return load(folder.read(name))
    except NOT_THERE:
        return None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        log.warning("%s/%s is passed over: %s", folder.path, name, error)
        return None
