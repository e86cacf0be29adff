"""Which figures a sweep gets and their names, by its kind of search and by what was recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from gon_core.config import AugMix
from gon_core.evaluation import examples, perturbed
from gon_core.measurement import CLEAN
from sweeps.engine.records import EXAMPLES, PERTURBED, SweepRecords
from sweeps.engine.report.figures import point_rows, severities
from sweeps.engine.report.figures.accuracy import draw_accuracy
from sweeps.engine.report.figures.corruption_bars import draw_corruption_bars
from sweeps.engine.report.figures.examples import (
    JPEG,
    draw_corruptions,
    draw_perturbed,
    draw_posterize,
    draw_sigmas,
)
from sweeps.engine.report.figures.joint_search import (
    draw_front,
    draw_importances,
    draw_progress,
    draw_slices,
)
from sweeps.engine.report.figures.learned_noise import Portraits, draw_overview, draw_portrait
from sweeps.engine.report.figures.perturbations import draw_perturbations
from sweeps.engine.report.figures.training_match import draw_training_match
from sweeps.engine.report.files import first_of_seeds, read_file
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.importance import Importances
from sweeps.engine.report.summary.perturbations import perturbation_title
from sweeps.engine.report.summary.training_match import match_training

IN_TABLES = "The tables below hold the numbers."
IN_PARQUET = "results.parquet holds the numbers."
SHOWN_SIGMAS = 8  # of the published ones, where a sweep has none of its own


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Attributes:
        name: of its files, without ending.
        caption: what it shows, in a sentence.
        draw: draws it, in the style that is set.
        numbers: where its numbers can be read, in a sentence; empty if nowhere as text.
        is_a_chart: whether the page has a chart of the same, to be explored, instead.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    numbers: str = ""
    is_a_chart: bool = False


def search_drawings(
    summary: SweepSummary, importances: Importances, portraits: Portraits
) -> list[Drawing]:
    """Return the figures of the search, the accuracy first.

    Args:
        summary: what to show.
        importances: of the parameters of a joint search.
        portraits: what noise generators learned, if there are any.
    """
    if summary.search == "joint":
        return _joint(summary, importances) + _noise(summary, portraits)
    name = summary.published.figure or f"accuracy_vs_{'_and_'.join(summary.labels)}"
    caption = f"{summary.measure} test accuracy by {' and '.join(summary.labels)}."
    noise = next((noise for _, noise in portraits.values()), None)
    accuracy = Drawing(name, caption, lambda: draw_accuracy(summary, noise), IN_TABLES, True)
    found = [accuracy]
    if (match := match_training(summary)) is not None:
        caption = "Training loss and accuracy of each epsilon, beside those of ANT 1x1."
        draw = partial(draw_training_match, summary, match)
        found.append(Drawing("training_beside_1x1", caption, draw, IN_TABLES))
    return [*found, *_noise(summary, portraits)]


def _joint(summary: SweepSummary, importances: Importances) -> list[Drawing]:
    found = []
    if len(summary.objectives) == 2:
        caption = "Accuracy on clean and on corrupted validation images, with the Pareto front."
        front = Drawing("pareto_front", caption, lambda: draw_front(summary), IN_TABLES, True)
        found.append(front)
    caption = "Accuracy on corrupted validation images, point by point in the order of the search."
    found.append(
        Drawing("accuracy_by_point", caption, lambda: draw_progress(summary), IN_TABLES, True)
    )
    if importances:
        caption = "How much of the validation accuracy's variation each parameter explains."
        found.append(
            Drawing(
                "importance",
                caption,
                lambda: draw_importances(summary, importances),
                is_a_chart=True,
            )
        )
    if summary.known or any(point.is_complete for point in summary.points):
        caption = "Validation accuracy against each parameter; the others vary as well."
        found.append(Drawing("slices", caption, lambda: draw_slices(summary), IN_TABLES, True))
    return found


def _noise(summary: SweepSummary, portraits: Portraits) -> list[Drawing]:
    if not portraits:
        return []
    point, (trial, noise) = next(iter(portraits.items()))
    is_best = summary.best is not None and point == summary.best.point
    where = f"{'the best point, ' if is_best else ''}{summary.text(point)}"
    title = f"The noise learned at {where}, seed {trial.config.seed}"
    best = Drawing("learned_noise_best", f"{title}.", lambda: draw_portrait(trial, noise, title))
    if len(portraits) == 1:  # the overview would show the same
        return [best]
    caption = (
        "The learned noise of every point shown: its density, and the classifier's accuracy under "
        "the current generator."
    )
    every = Drawing("learned_noise_points", caption, lambda: draw_overview(summary, portraits))
    return [best, every]


def appendix_drawings(summary: SweepSummary, records: SweepRecords) -> list[Drawing]:
    """Return the figures of the paper's appendix for which there are records, in its order.

    A file of examples that is damaged costs its figure, with a warning, and nothing else.
    """
    found, paper = [], "of the paper's appendix"
    if on := severities.title_of(summary):
        caption = f"Accuracy against severity for each corruption, as Fig. 1 {paper}, on {on}."
        draw = partial(severities.draw_severities, summary)
        found.append(Drawing("accuracy_vs_severity", caption, draw, IN_PARQUET))
    shown = read_file(records.folder, EXAMPLES, examples.load)
    sigmas = _sigmas(summary)
    if shown is not None and sigmas:
        caption = f"Test images with Gaussian noise of each sigma, as Fig. 3 {paper}."
        found.append(Drawing("examples_by_sigma", caption, lambda: draw_sigmas(shown, sigmas)))
    if shown is not None and _has_augmix(summary) and len(shown.corrupted.get(JPEG, {})) > 1:
        caption = f"AugMix's posterize beside JPEG compression, as Fig. 5 {paper}."
        draw = partial(draw_posterize, shown)
        found.append(Drawing("posterize_beside_jpeg", caption, draw))
    points = point_rows.shown(summary)
    noisy = dict(first_of_seeds(records, points, PERTURBED, perturbed.load))
    if any(images.keys() - {CLEAN} for _, images in noisy.values()):
        name = "examples_by_epsilon_star"
        what = "Test images with noise of the size epsilon* that fools each model"
        caption = f"{what}, as Fig. 4 {paper}."
        found.append(Drawing(name, caption, lambda: draw_perturbed(summary, noisy)))
    if title := perturbation_title([trial for point in points for trial in point.trials]):
        name = "epsilon_star_and_attacks"
        found.append(Drawing(name, f"{title}.", lambda: draw_perturbations(summary), IN_TABLES))
    if summary.measured:
        name = f"{summary.suite.name}_per_corruption"
        caption = f"{summary.suite.title}, corruption by corruption."
        found.append(Drawing(name, caption, lambda: draw_corruption_bars(summary), IN_TABLES, True))
    if shown is not None:
        caption = "Every corruption on the same test images."
        benchmark = summary.benchmark
        found.append(Drawing("corruptions", caption, lambda: draw_corruptions(shown, benchmark)))
    return found


def _has_augmix(summary: SweepSummary) -> bool:
    return any(isinstance(trial.config.method, AugMix) for trial in summary.trials)


def _sigmas(summary: SweepSummary) -> list[float]:
    own = [point.point[0] for point in summary.points] if summary.names == ("sigma",) else []
    published = summary.benchmark.strengths.get("gnt")
    sigmas = sorted({float(value) for value in own} or (published.paper_grid if published else ()))
    shown = np.linspace(0, len(sigmas) - 1, min(len(sigmas), SHOWN_SIGMAS)).round()
    return [sigmas[int(index)] for index in shown]
