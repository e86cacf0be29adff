"""Which figures a sweep gets and their names, by its kind of search and by what was recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import examples, perturbed
from gon_core.measurement import SEVERITIES_SPLIT, TOP1
from sweeps.engine.records import EXAMPLES, PERTURBED, SweepRecords
from sweeps.engine.report.figures.corruption_bars import draw_corruption_bars
from sweeps.engine.report.figures.examples import draw_corruptions, draw_perturbed, draw_sigmas
from sweeps.engine.report.figures.grid import draw_grid
from sweeps.engine.report.figures.joint_search import draw_front, draw_progress
from sweeps.engine.report.figures.learned_noise import draw_portrait
from sweeps.engine.report.figures.line import draw_line
from sweeps.engine.report.figures.noise_overview import Portraits, best_portrait, draw_overview
from sweeps.engine.report.figures.parameters import draw_importances, draw_slices
from sweeps.engine.report.figures.perturbations import draw_perturbations
from sweeps.engine.report.figures.severities import draw_severities
from sweeps.engine.report.files import read_file
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.importance import Importances
from sweeps.engine.report.summary.perturbations import perturbation_title

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
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    numbers: str = ""


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
        found = _joint(summary, importances)
    else:
        names = " and ".join(summary.labels)
        name = summary.published.figure or f"accuracy_vs_{'_and_'.join(summary.labels)}"
        caption = f"{summary.measure} test accuracy by {names}."
        found = [Drawing(name, caption, lambda: _accuracy(summary, portraits), IN_TABLES)]
    return found + _noise(summary, portraits)


def _accuracy(summary: SweepSummary, portraits: Portraits) -> Figure:
    # One value behind another takes a line of one real parameter; all else is a grid.
    if summary.search == "line" and len(summary.parameters) == 1:
        noise = next((portrait.noise for portrait in portraits.values()), None)
        return draw_line(summary, noise)
    return draw_grid(summary)


def _joint(summary: SweepSummary, importances: Importances) -> list[Drawing]:
    found = []
    if len(summary.objectives) == 2:
        caption = "Accuracy on clean and on corrupted validation images, with the Pareto front."
        found.append(Drawing("pareto_front", caption, lambda: draw_front(summary), IN_TABLES))
    caption = "Accuracy on corrupted validation images, point by point in the order of the search."
    found.append(Drawing("accuracy_by_point", caption, lambda: draw_progress(summary), IN_TABLES))
    if importances:
        caption = "How much of the validation accuracy's variation each parameter explains."
        found.append(Drawing("importance", caption, lambda: draw_importances(summary, importances)))
    if summary.known or any(point.is_complete for point in summary.points):
        caption = "Validation accuracy against each parameter; the others vary as well."
        found.append(Drawing("slices", caption, lambda: draw_slices(summary), IN_TABLES))
    return found


def _noise(summary: SweepSummary, portraits: Portraits) -> list[Drawing]:
    if not portraits:
        return []
    point, portrait = best_portrait(summary, portraits)
    text = f"{summary.text(point)}, seed {portrait.result.config.seed}"
    is_best = summary.best is not None and point == summary.best.point
    title = f"The noise learned at {'the best point, ' if is_best else ''}{text}"
    best = Drawing("learned_noise_best", f"{title}.", lambda: draw_portrait(portrait, title))
    if len(portraits) == 1:  # the overview would show the same
        return [best]
    caption = (
        "The learned noise of every point shown: its density, and the classifier's accuracy under "
        "the current generator."
    )
    return [
        best,
        Drawing("learned_noise_points", caption, lambda: draw_overview(summary, portraits)),
    ]


def appendix_drawings(summary: SweepSummary, records: SweepRecords) -> list[Drawing]:
    """Return the figures of the paper's appendix for which there are records, in its order.

    A file of examples that is damaged costs its figure, with a warning, and nothing else.
    """
    found = []
    if any(trial.of(TOP1, SEVERITIES_SPLIT) for trial in summary.trials):
        caption = (
            "Accuracy against severity for each corruption, as Fig. 1 of the paper's appendix; the "
            "five severities are our extension of MNIST-C, whose published one is the third."
        )
        found.append(
            Drawing("accuracy_vs_severity", caption, lambda: draw_severities(summary), IN_PARQUET)
        )
    shown = read_file(records.folder, EXAMPLES, examples.load)
    if shown is not None:
        sigmas = _sigmas(summary)
        caption = (
            "Test images with Gaussian noise of each sigma, as Fig. 3 of the paper's appendix."
        )
        found.append(Drawing("examples_by_sigma", caption, lambda: draw_sigmas(shown, sigmas)))
    found += _perturbations(summary, records)
    if summary.measured and summary.suite.corruptions == CORRUPTIONS:
        caption = f"{summary.measure.replace(' mean', '')}, corruption by corruption."
        draw = partial(draw_corruption_bars, summary)
        found.append(Drawing("mnist_c_per_corruption", caption, draw, IN_TABLES))
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
        and (content := read_file(records.trial(trial.trial_id).folder, PERTURBED, perturbed.load))
    }
    if images:
        caption = (
            "Test images with noise of the size epsilon* that fools each model, as Fig. 4 of the "
            "paper's appendix."
        )
        found.append(
            Drawing("examples_by_epsilon_star", caption, lambda: draw_perturbed(summary, images))
        )
    if title := perturbation_title(summary.trials):
        draw = partial(draw_perturbations, summary, summary.published.attacks)
        found.append(Drawing("epsilon_star_and_attacks", f"{title}.", draw, IN_TABLES))
    return found


def _sigmas(summary: SweepSummary) -> list[float]:
    own = [point.point[0] for point in summary.points] if summary.names == ("sigma",) else []
    published = summary.benchmark.strengths["gnt"].paper_grid
    sigmas = sorted({float(value) for value in own} or set(published))
    if len(sigmas) <= SHOWN_SIGMAS:
        return sigmas
    step = (len(sigmas) - 1) / (SHOWN_SIGMAS - 1)
    return [sigmas[round(index * step)] for index in range(SHOWN_SIGMAS)]
