"""Which figures a sweep gets, by kind of search, and their names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from sweeps.engine.report.figures.grid import draw_grid
from sweeps.engine.report.figures.joint_search import draw_front, draw_turns
from sweeps.engine.report.figures.line import draw_line
from sweeps.engine.report.figures.noise_overview import (
    Portraits,
    best_portrait,
    draw_overview,
    draw_portrait,
)
from sweeps.engine.report.figures.parameters import draw_importances, draw_slices
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.importance import Importances

IN_TABLES = "The tables below hold the numbers."
IN_PARQUET = "results.parquet holds the numbers."


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


def drawings(
    summary: SweepSummary, importances: Importances, portraits: Portraits
) -> list[Drawing]:
    """Return the figures of a sweep, the one that answers its question first.

    Args:
        summary: what to show.
        importances: of the parameters of a joint search.
        portraits: what noise generators learned, if there are any.
    """
    if summary.search == "joint":
        found = _joint(summary, importances)
    else:
        names = " and ".join(summary.labels)
        caption = f"{summary.measure} test accuracy by {names}."
        draw = partial(_accuracy, summary, portraits)
        found = [Drawing(figure_name(summary), caption, draw, IN_TABLES)]
    return found + _noise(summary, portraits)


def figure_name(summary: SweepSummary) -> str:
    """Return the name of the accuracy figure of a line or a grid."""
    return summary.published.figure or f"accuracy_vs_{'_and_'.join(summary.labels)}"


def _accuracy(summary: SweepSummary, portraits: Portraits) -> Figure:
    # One value behind another takes a line of one real parameter; all else is a grid.
    if summary.search == "line" and len(summary.parameters) == 1:
        noise = next((portrait.noise for portrait in portraits.values()), None)
        return draw_line(summary, noise)
    return draw_grid(summary)


def _joint(summary: SweepSummary, importances: Importances) -> list[Drawing]:
    turns = Drawing(
        "accuracy_by_turn",
        "Accuracy on corrupted validation images, point by point as the search asked for them.",
        lambda: draw_turns(summary),
        IN_TABLES,
    )
    front = Drawing(
        "pareto_front",
        "Accuracy on clean and on corrupted validation images, with the Pareto front.",
        lambda: draw_front(summary),
        IN_TABLES,
    )
    importance = Drawing(
        "importance",
        "How much of the validation accuracy's variation each parameter explains.",
        lambda: draw_importances(summary, importances),
    )
    slices = Drawing(
        "slices",
        "Validation accuracy against each parameter; the others vary as well.",
        lambda: draw_slices(summary),
        IN_TABLES,
    )
    has_points = bool(summary.known) or any(point.is_complete for point in summary.points)
    return [
        *([front] if len(summary.objectives) == 2 else []),
        turns,
        *([importance] if importances else []),
        *([slices] if has_points else []),
    ]


def _noise(summary: SweepSummary, portraits: Portraits) -> list[Drawing]:
    if not portraits:
        return []
    point, portrait = best_portrait(summary, portraits)
    text = f"{summary.text(point)}, seed {portrait.result.config.seed}"
    is_best = summary.best is not None and point == summary.best.point
    title = f"The noise learned at {'the best point, ' if is_best else ''}{text}"
    best = Drawing("learned_noise_best", f"{title}.", lambda: draw_portrait(portrait, title))
    if len(portraits) == 1:  # there is nothing to look over
        return [best]
    overview = Drawing(
        "learned_noise_points",
        "The learned noise of every point shown: its density, and the classifier's accuracy under "
        "the current generator.",
        lambda: draw_overview(summary, portraits),
    )
    return [best, overview]
