"""Fig. 1 of the appendix for our own runs: accuracy against severity, corruption by corruption."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gon_core.benchmarks import CorruptionSuite
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT, TOP1
from sweeps.engine.report.figures import accuracy_marks as marks
from sweeps.engine.report.figures import point_rows, style
from sweeps.engine.report.figures.style import GREY, OURS, SERIES
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate

MOST = 12  # points
COLUMNS = 5
SPREAD = 0.3  # of the distance of two severities, in which the bars of all points stand
# In inches: the side of a panel, the gaps to the next ones, and what stands left of and above all.
PANEL, GAP, LEFT, TOP = 1.4, (0.4, 0.5), 0.5, 0.25
LEGEND_COLUMNS, LEGEND_GAP, LEGEND_LINE = 4, 0.22, 0.19  # inches as well
# Colour, marker and dashes of points that are neither the best nor the first.
OTHERS = (*SERIES[1:5], (GREY, "X", (0, (6, 1.5))))


def draw_severities(summary: SweepSummary) -> Figure:
    """Return the figure: a panel for each corruption, a line for each point.

    Points are means over seeds with their 95 % intervals. The lines of the best and of the first
    point are thick; of many points the best are shown.

    Args:
        summary: of a benchmark that has corruptions at several severities, measured there.
    """
    suite, split = _measured(summary)
    measured = {point.point: _estimates(point, suite, split) for point in summary.compared}
    estimates = {point: found for point, found in measured.items() if found}
    points = point_rows.shown(summary, MOST, estimates)
    looks = _looks(summary, points)
    figure, plots = style.small_panels(
        len(suite.corruptions), COLUMNS, PANEL + GAP[0], GAP[0], LEFT, [(TOP, PANEL)],
        PANEL + GAP[1],
    )  # fmt: skip
    for number, (corruption, (axes,)) in enumerate(zip(suite.corruptions, plots, strict=True)):
        axes.set_title(corruption.replace("_", " "), loc="left", fontsize=9.5, pad=4)
        axes.set_ylabel("accuracy (%)" if number % COLUMNS == 0 else "", fontsize=9)
        axes.yaxis.set_label_coords(-0.3, 0.5)
        axes.set_xlabel("severity" if number + COLUMNS >= len(plots) else "", fontsize=9)
        lines = [estimates[point.point].get(corruption, {}) for point in points]
        _draw_panel(axes, suite, lines, looks)
    further_down = _add_legend(figure, looks)
    by_severity = [line for point in points for line in estimates[point.point].values()]
    drawn = [estimate for line in by_severity for estimate in line.values()]
    line = "Severity 0 is without corruption. Every panel has its own range."
    if suite.published is not None:
        line = (
            f"Severities 1 to {max(suite.severities)} are {suite.title}: {summary.suite.title} "
            f"itself has one, which is severity {suite.published} here (shaded). {line}"
        )
    caption = point_rows.caption(summary, points, [line, *point_rows.notes(drawn)])
    title = f"Accuracy by severity, on {suite.title}"
    return style.add_title_and_caption(figure, title, caption, further_down)


def _measured(summary: SweepSummary) -> tuple[CorruptionSuite, str]:
    """Return the corruptions at several severities, and the split of the rows on them."""
    extension = summary.benchmark.suites.get("severities")
    return (summary.suite, "test") if extension is None else (extension, SEVERITIES_SPLIT)


def title_of(summary: SweepSummary) -> str:
    """Return the title of the corruptions that were measured at several severities, or nothing."""
    suite, split = _measured(summary)
    rows = (row for trial in summary.trials for row in trial.of(TOP1, split))
    is_measured = any(row.setting != CLEAN for row in rows)
    return suite.title if is_measured and len(suite.severities) > 1 else ""


def _estimates(
    point: PointSummary, suite: CorruptionSuite, split: str
) -> dict[str, dict[int, Estimate]]:
    """Return a point's accuracies by corruption and severity, 0 for images without corruption."""
    clean = point_rows.accuracy(point, split, CLEAN)
    found = {}
    for corruption in suite.corruptions:
        corrupted = {
            severity: estimate
            for severity in suite.severities
            if (estimate := point_rows.accuracy(point, split, corruption, severity))
        }
        if corrupted:
            found[corruption] = ({0: clean} if clean else {}) | corrupted
    return found


def _looks(summary: SweepSummary, points: Sequence[PointSummary]) -> list[dict[str, Any]]:
    """Return for each point how its line is drawn, with its name as the label."""
    looks, others = [], 0
    for index, point in enumerate(points):
        if point is summary.best:
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
        common = {"label": point_rows.name(summary, point), "linestyle": "-"}
        looks.append(common | {"markersize": 4.0, "markeredgewidth": 0.8} | kind)
    return looks


def _draw_panel(
    axes: Axes,
    suite: CorruptionSuite,
    lines: Sequence[dict[int, Estimate]],
    looks: Sequence[dict[str, Any]],
) -> None:
    if suite.published is not None:
        axes.axvspan(suite.published - 0.5, suite.published + 0.5, color="#f2f2f2", zorder=0)
    ends = []
    for number, (line, look) in enumerate(zip(lines, looks, strict=True)):
        if not line:
            continue
        shift = SPREAD * ((number + 0.5) / len(lines) - 0.5)
        means = np.array([estimate.mean for estimate in line.values()])
        bars = marks.arms(estimate.interval for estimate in line.values())
        axes.errorbar([severity + shift for severity in line], means, bars, elinewidth=0.8, **look)
        ends += [*(means - bars[0]), *(means + bars[1])]
    greatest = max(suite.severities)
    axes.set_xlim(-0.5, greatest + 0.5)
    axes.set_xticks(range(greatest + 1))
    axes.grid(axis="x", visible=False)
    axes.tick_params(labelsize=8, pad=2)
    if not ends:
        style.say(axes, "not measured")
        axes.set_yticks([])
        return
    room = 0.06 * max(max(ends) - min(ends), 1.0)
    axes.set_ylim(min(ends) - room, max(ends) + room)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _add_legend(figure: Figure, looks: Sequence[dict[str, Any]]) -> float:
    """Name the lines below the figure, the best in bold; return how far down that reaches."""
    if not looks:
        return LEGEND_GAP
    legend = figure.legend(
        handles=[Line2D([], [], **look) for look in looks], loc="upper left",
        bbox_to_anchor=(0, -LEGEND_GAP / figure.get_figheight()), ncols=LEGEND_COLUMNS,
        frameon=False, fontsize=9, borderaxespad=0, borderpad=0, labelspacing=0.35,
        handlelength=3.6, columnspacing=1.6,
    )  # fmt: skip
    for text, look in zip(legend.get_texts(), looks, strict=True):
        text.set(parse_math=False, fontweight="bold" if look["color"] == OURS else "normal")
    return LEGEND_GAP + LEGEND_LINE * math.ceil(len(looks) / LEGEND_COLUMNS)
