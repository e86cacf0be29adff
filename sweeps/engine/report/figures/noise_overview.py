"""What the noise generators of a sweep learned: the trials to show, and all side by side."""

from collections.abc import Sequence
from itertools import islice

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gon_core.config import ANT
from gon_core.evaluation import learned_noise
from search_spaces.parameter import Point
from sweeps.engine.records import NOISE, SweepRecords
from sweeps.engine.report.figures.learned_noise import Portrait, draw_accuracy, draw_density
from sweeps.engine.report.figures.panels import Blocks, share_range
from sweeps.engine.report.figures.style import OURS, add_title_and_caption
from sweeps.engine.report.files import read_file
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary

MOST = 12  # points side by side
COLUMNS = 4
# In each block, in inches: where a panel begins and its height, and the height of all.
DENSITY, ACCURACY, BLOCK = (0.4, 1.3), (2.05, 0.95), 3.4

Portraits = dict[Point, Portrait]
"""By point, of the first seed that has one."""


def read_portraits(records: SweepRecords, summary: SweepSummary) -> Portraits:
    """Return what generators learned at the best points, at most ``MOST``, the best first.

    Empty for methods without a generator. A damaged file is left out with a warning.
    """
    found = ((point.point, _first_portrait(records, point)) for point in summary.by_rank)
    portraits = ((point, portrait) for point, portrait in found if portrait is not None)
    return dict(islice(portraits, MOST))


def _first_portrait(records: SweepRecords, point: PointSummary) -> Portrait | None:
    for trial in point.trials:
        if trial.is_measured and trial.may_have(NOISE):
            noise = read_file(records.trial(trial.trial_id).folder, NOISE, learned_noise.load)
            if noise is not None:
                return Portrait(trial, noise)
    return None


def best_portrait(summary: SweepSummary, portraits: Portraits) -> tuple[Point, Portrait]:
    """Return the portrait of the best point, else the first one."""
    best = summary.best.point if summary.best else None
    point = best if best is not None and best in portraits else next(iter(portraits))
    return point, portraits[point]


def draw_overview(summary: SweepSummary, portraits: Portraits) -> Figure:
    """Return for each point the density of its noise and, below, the accuracy over the epochs."""
    # In the order of the table.
    points = summary.by_rank if summary.search == "joint" else summary.points
    shown = [point for point in points if point.point in portraits]
    layout = Blocks(len(shown), COLUMNS, 2.2, 0.2, 0.6, (DENSITY, ACCURACY), BLOCK)
    figure = layout.figure()
    accuracies = []
    for item, point in enumerate(shown):
        portrait, is_first = portraits[point.point], layout.is_first(item)
        density, accuracy = layout.add(figure, item)
        draw_density(density, portrait.noise)
        draw_accuracy(accuracy, portrait.result.history)
        _name(summary, point, density)
        density.set_xlabel("standard deviations", fontsize=8.5, labelpad=1)
        accuracy.set_xlabel("epoch", fontsize=8.5, labelpad=1)
        for axes, label in ((density, "density"), (accuracy, "accuracy (%)")):
            axes.tick_params(labelsize=8, labelleft=is_first, pad=2)
            axes.set_ylabel(label if is_first else "", fontsize=9)
        accuracies.append(accuracy)
    share_range(accuracies)
    add_title_and_caption(figure, "Learned noise, point by point", _caption(summary, shown))
    return figure


def _has_generator(point: PointSummary) -> bool:
    return any(isinstance(trial.config.method, ANT) for trial in point.trials if trial.is_measured)


def _name(summary: SweepSummary, point: PointSummary, axes: Axes) -> None:
    is_best = point is summary.best
    joint = summary.search == "joint"
    text = f"#{point.number}" if joint else summary.text(point.point).replace("_", " ")
    axes.set_title(
        text, loc="left", fontsize=9, parse_math=False,
        color=OURS if is_best else "black", fontweight="bold" if is_best else "normal",
    )  # fmt: skip


def _caption(summary: SweepSummary, shown: Sequence[PointSummary]) -> list[str]:
    bold = " The best point's name is bold." if summary.best in shown else ""
    lines = [
        "Above: density of one pixel's noise before clipping, dashed N(0, 1). Below: the "
        "classifier's accuracy under the current generator, over the training. "
        f"First seed each.{bold}"
    ]
    trained = sum(_has_generator(point) for point in summary.measured)
    if len(shown) < trained:
        best = "The best " if len(shown) == MOST else ""
        lines.append(f"{best}{len(shown)} of {trained} measured points with a noise generator.")
    return lines
