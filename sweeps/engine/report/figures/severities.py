"""Fig. 1 of the appendix for our own runs: accuracy against severity, corruption by corruption."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT, TOP1
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.accuracy_marks import arms, clip_note
from sweeps.engine.report.figures.style import (
    GREY,
    OURS,
    SERIES,
    add_title_and_caption,
    new_figure,
    say,
)
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate, clean_rows

TITLE = "Accuracy by severity, on our extension of MNIST-C"
EXTENSION = (
    "The five severities are our extension: MNIST-C itself has one, which is severity 3 here "
    "(shaded). Severity 0 is without corruption. Every panel has its own range."
)
MOST = 12
COLUMNS, ROWS = 5, 3
SEVERITIES = range(1, 6)
PUBLISHED_SEVERITY = 3
SPREAD = 0.3  # of the distance of two severities, in which the bars of all points stand
# In inches: a panel, the gaps to the next ones, what stands left and below of all.
PANEL, GAP, LEFT, BELOW = (1.4, 1.4), (0.4, 0.5), 0.5, 0.42
LEGEND_COLUMNS, LEGEND_LINE = 4, 0.19
# Colour, marker and dashes of points that are neither the best nor the first.
OTHERS = (*SERIES[1:5], (GREY, "X", (0, (6, 1.5))))


@dataclass(frozen=True)
class Line:
    """One point's line: its estimates by corruption and severity, and how it is drawn."""

    name: str
    estimates: dict[str, dict[int, Estimate]]
    kind: dict[str, Any]


def draw_severities(summary: SweepSummary) -> Figure:
    """Return the figure: a panel for each corruption, a line for each point.

    Points are means over seeds with their 95 % intervals. The lines of the best and of the first
    point are thick; of many points the best are shown.
    """
    estimates = {point.point: _estimates(point) for point in summary.compared}
    ranked = [point.point for point in summary.by_rank if estimates.get(point.point)]
    points = [
        point
        for point in summary.compared
        if point.point in ranked[:MOST]
        or (summary.is_baseline(point.point) and estimates[point.point])
    ]
    lines = [
        Line(point_rows.name(summary, point), estimates[point.point], kind)
        for point, kind in zip(points, _looks(summary, points), strict=True)
    ]
    figure, panels = _panels(len(lines))
    for axes, corruption in zip(panels, CORRUPTIONS, strict=True):
        _draw_panel(axes, corruption, lines)
    _add_legend(figure, lines, [point_rows.is_best(summary, point) for point in points])
    drawn = [
        estimate
        for line in lines
        for by_severity in line.estimates.values()
        for estimate in by_severity.values()
    ]
    whiskers = point_rows.intervals(estimate.is_over_seeds for estimate in drawn)
    cut = clip_note(estimate.interval for estimate in drawn)
    words = [EXTENSION, whiskers, cut]
    add_title_and_caption(figure, TITLE, point_rows.caption(summary, points, words))
    return figure


def _estimates(point: PointSummary) -> dict[str, dict[int, Estimate]]:
    clean = point_rows.accuracy(point, SEVERITIES_SPLIT, CLEAN) or _on_the_same_images(point)
    found = {}
    for corruption in CORRUPTIONS:
        corrupted = {
            severity: estimate
            for severity in SEVERITIES
            if (estimate := point_rows.accuracy(point, SEVERITIES_SPLIT, corruption, severity))
        }
        if corrupted:
            found[corruption] = ({0: clean} if clean else {}) | corrupted
    return found


def _on_the_same_images(point: PointSummary) -> Estimate | None:
    # Records from before the split had a clean row: test images, if severities have all of them.
    counts = {row.count for trial in point.trials for row in trial.of(TOP1, SEVERITIES_SPLIT)}
    tested = {row.count for trial in point.trials for row in clean_rows(trial)}
    return point_rows.accuracy(point, "test", CLEAN) if counts == tested else None


def _looks(summary: SweepSummary, points: Sequence[PointSummary]) -> list[dict[str, Any]]:
    looks, others = [], 0
    for index, point in enumerate(points):
        if point_rows.is_best(summary, point):
            kind = {"color": OURS, "marker": "D", "linewidth": 2.2, "zorder": 6}
        elif index == 0:
            kind = {"color": "black", "marker": "P", "linewidth": 1.8, "zorder": 5}
        else:
            cycle, k = divmod(others, len(OTHERS))
            # A colour's second point has another marker, hollow, and other dashes.
            color, dashes = OTHERS[k][0], OTHERS[(k + 2 * cycle) % len(OTHERS)][2]
            kind = {"color": color, "marker": OTHERS[(k + 3 * cycle) % len(OTHERS)][1],
                    "linestyle": dashes, "linewidth": 1.1, "zorder": 4}  # fmt: skip
            kind |= {"markerfacecolor": "white"} if cycle else {}
            others += 1
        looks.append({"markersize": 4.0, "markeredgewidth": 0.8, "linestyle": "-"} | kind)
    return looks


def _panels(lines: int) -> tuple[Figure, list[Axes]]:
    legend = LEGEND_LINE * math.ceil(lines / LEGEND_COLUMNS)
    width = LEFT + COLUMNS * PANEL[0] + (COLUMNS - 1) * GAP[0]
    block = PANEL[1] + GAP[1]
    height = ROWS * block + BELOW - 0.2 + legend
    figure = new_figure((width, height))
    panels = []
    for index, corruption in enumerate(CORRUPTIONS):
        row, column = divmod(index, COLUMNS)
        left, top = LEFT + column * (PANEL[0] + GAP[0]), height - row * block - 0.25
        axes = figure.add_axes(
            (left / width, (top - PANEL[1]) / height, PANEL[0] / width, PANEL[1] / height)
        )
        axes.set_title(corruption.replace("_", " "), loc="left", fontsize=9.5, pad=4)
        axes.set_ylabel("accuracy (%)" if column == 0 else "", fontsize=9)
        axes.yaxis.set_label_coords(-0.3, 0.5)
        axes.set_xlabel("severity" if row == ROWS - 1 else "", fontsize=9)
        panels.append(axes)
    return figure, panels


def _draw_panel(axes: Axes, corruption: str, lines: Sequence[Line]) -> None:
    axes.axvspan(PUBLISHED_SEVERITY - 0.5, PUBLISHED_SEVERITY + 0.5, color="#f2f2f2", zorder=0)
    ends = []
    for number, line in enumerate(lines):
        found = line.estimates.get(corruption, {})
        if not found:
            continue
        shift = SPREAD * ((number + 0.5) / len(lines) - 0.5)
        estimates = list(found.values())
        bars = arms(each.interval for each in estimates)
        axes.errorbar(
            [severity + shift for severity in found], [each.mean for each in estimates], bars,
            elinewidth=0.8, label=line.name, **line.kind,
        )  # fmt: skip
        ends += [each.mean - arm for each, arm in zip(estimates, bars[0], strict=True)]
        ends += [each.mean + arm for each, arm in zip(estimates, bars[1], strict=True)]
    axes.set_xlim(-0.5, 5.5)
    axes.set_xticks(list(range(6)))
    axes.grid(axis="x", visible=False)
    axes.tick_params(labelsize=8, pad=2)
    if not ends:
        say(axes, "not measured")
        axes.set_yticks([])
        return
    low, high = min(ends), max(ends)
    room = 0.06 * max(high - low, 1.0)
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _add_legend(figure: Figure, lines: Sequence[Line], are_best: Sequence[bool]) -> None:
    if not lines:
        return
    handles = [Line2D([], [], label=line.name, **line.kind) for line in lines]
    legend = figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 0), ncols=LEGEND_COLUMNS,
        frameon=False, fontsize=9, borderaxespad=0, borderpad=0, labelspacing=0.35,
        handlelength=3.6, columnspacing=1.6,
    )  # fmt: skip
    for text, is_best in zip(legend.get_texts(), are_best, strict=True):
        text.set(parse_math=False, fontweight="bold" if is_best else "normal")
