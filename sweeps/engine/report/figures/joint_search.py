"""The figures of a joint search: how it went, the Pareto front, what matters, and slices.

Points are numbered in the order of the search, here and in tables.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gon_core.intervals import Interval
from search_spaces.parameter import Choice, Parameter, Real, Value, Whole, value_text
from sweeps.engine.report.figures import accuracy_marks as marks
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.style import GREY, MOST_VECTORS, OURS, PUBLISHED, SERIES
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.importance import MOST_EXPLAINED, Importances
from sweeps.engine.report.summary.space import value_order
from sweeps.engine.system.text import plural

EARLIER = "earlier sweeps"
INCOMPLETE = "no point was measured with all its seeds"
STRIP = 0.16  # of the width of the points of this sweep, for the points of earlier sweeps
LABELLED = 12  # points of the front
COLUMNS = 3
HEIGHT = 1.75  # inches of one slice
EDGE = 0.06  # of the searched range, left free at both sides of a slice


def draw_progress(summary: SweepSummary) -> Figure:
    """Return the figure of the corrupted validation accuracy by point, with the best so far."""
    axes = style.new_axes(summary.description.title, pad=24)
    axes.set_xlabel("point, in the order of the search")
    axes.set_ylabel("corrupted validation accuracy (%)")
    axes.margins(y=0.12)
    complete = _complete(summary)
    corrupted = summary.objectives.index("corrupted")
    last = max((point.number for point in summary.points), default=1)
    left = 0.4
    if summary.known:
        width = max(1.0, STRIP * last)
        step = width / len(summary.known)
        places = [0.3 - width + step * (index + 0.5) for index in range(len(summary.known))]
        _draw_known(axes, places, [means[corrupted] for means in summary.known.values()])
        left = 0.1 - width
        axes.axvspan(left, 0.3, color="#f4f4f4", zorder=0)
    if complete:
        numbers = [point.number for point in complete]
        intervals = [point.objectives["corrupted"] for point in complete]
        seeded = _has_ends(intervals)
        label = "mean over seeds, 95 % t interval" if seeded else "one seed, no interval"
        caps = 2.5 if seeded else 0
        _draw_means(axes, numbers, intervals, color=OURS, fmt="o", capsize=caps, label=label)
        best = list(accumulate((interval.estimate for interval in intervals), max))
        axes.step(
            [*numbers, last + 0.5], [*best, best[-1]], where="post", color=PUBLISHED, linewidth=1.4,
            label="best so far", zorder=3,
        )  # fmt: skip
    else:
        style.say(axes, INCOMPLETE)
    axes.set_xlim(left, last + 0.6)
    ticks = MaxNLocator(10, integer=True).tick_values(1, last)
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= last])
    marks.draw_off_curve(axes, summary.points, lambda point: point.number)
    marks.keep_to_accuracies(axes)
    if summary.best is not None:
        marks.label_best(axes, summary.best.number, f"best: #{summary.best.number}")
    return style.add_legend_and_caption(axes, _caption(summary))


def draw_front(summary: SweepSummary) -> Figure:
    """Return the figure of clean against corrupted validation accuracy with the Pareto front."""
    axes = style.new_axes(summary.description.title)
    x_name, y_name = summary.objectives
    axes.set_xlabel(f"{x_name} validation accuracy (%)")
    axes.set_ylabel(f"{y_name} validation accuracy (%)")
    axes.margins(x=0.1, y=0.14)
    if summary.known:
        _draw_known(axes, *zip(*summary.known.values(), strict=True))
    front = {point.point for point in summary.front}
    others = [point for point in _complete(summary) if point.point not in front]
    for points, color, marker, label in (
        (others, OURS, "o", "point, mean over its seeds"),
        (summary.front, PUBLISHED, "D", "Pareto front of this sweep"),
    ):
        if points:
            x, y = zip(*(point.objectives.values() for point in points), strict=True)
            seeded = ", 95 % t interval" if _has_ends([*x, *y]) else ""
            _draw_means(
                axes, [interval.estimate for interval in x], y, xerr=marks.arms(x), color=color,
                fmt=marker, alpha=0.9, label=label + seeded,
            )  # fmt: skip
    if summary.front:
        x, y = zip(*(point.means for point in summary.front), strict=True)
        # Left of the first and below the last point there is nothing to gain: the front ends there.
        axes.step(x, y, where="pre", color=PUBLISHED, linewidth=1.3, zorder=3)
        for point in summary.front[:LABELLED]:
            axes.annotate(
                f"#{point.number}", (point.means[0], point.means[1]), xytext=(5, 5), zorder=6,
                textcoords="offset points", color=PUBLISHED, fontweight="bold", fontsize=9,
            )  # fmt: skip
    else:
        style.say(axes, INCOMPLETE)
    return style.add_legend_and_caption(axes, _caption(summary))


def _draw_means(axes: Axes, x: Sequence[float], y: Sequence[Interval], **look: Any) -> None:
    axes.errorbar(
        x, [interval.estimate for interval in y], marks.arms(y), markersize=5, linewidth=0.8,
        zorder=4, rasterized=len(x) > MOST_VECTORS, **look,
    )  # fmt: skip


def _has_ends(intervals: Sequence[Interval]) -> bool:
    return any(math.isfinite(interval.low) for interval in intervals)


def _draw_known(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Draw points of earlier sweeps, hollow and grey."""
    axes.scatter(
        x, y, s=24, facecolor="none", edgecolor=GREY, linewidth=0.9, zorder=3,
        label=f"{EARLIER} ({len(x)})",
    )  # fmt: skip


def _complete(summary: SweepSummary) -> list[PointSummary]:
    """Return the points measured with every seed, in the order of the search."""
    return sorted((p for p in summary.points if p.is_complete), key=lambda point: point.number)


def _caption(summary: SweepSummary) -> list[str]:
    incomplete = sum(not point.is_complete for point in summary.measured)
    line = f"{plural(incomplete, 'point')} not drawn: not every seed was measured."
    return [*marks.caption(summary), line if incomplete else ""]


def draw_importances(summary: SweepSummary, importances: Importances) -> Figure:
    """Return the figure of how much of each objective every parameter explains.

    Args:
        summary: of a joint search.
        importances: not empty.
    """
    figure = Figure(figsize=(7.0, 1.0 + 0.42 * len(summary.names)))
    axes = figure.add_axes((0.25, 0.16, 0.73, 0.8))
    points = len(summary.known) + len(_complete(summary))
    count = f"{MOST_EXPLAINED:,} of {points:,}" if points > MOST_EXPLAINED else f"{points}"
    lines = [
        f"Functional analysis of variance over a random forest, of {count} points, those of "
        "earlier sweeps included; of few points it is a hint.",
        *_caption(summary),
    ]
    total = {name: sum(shares.get(name, 0.0) for shares in importances.values())
             for name in summary.names}  # fmt: skip
    names = sorted(summary.names, key=lambda name: total[name])
    height = 0.75 / len(importances)
    for number, (objective, shares) in enumerate(reversed(importances.items())):
        places = [k + height * (number - (len(importances) - 1) / 2) for k in range(len(names))]
        values = [100 * shares.get(name, 0.0) for name in names]
        color = SERIES[len(importances) - 1 - number][0]
        label = f"{objective} validation accuracy"
        bars = axes.barh(places, values, height * 0.9, color=color, label=label)
        axes.bar_label(bars, [f"{value:.0f} %" for value in values], padding=3, fontsize=9)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 112 * max(max(shares.values()) for shares in importances.values()))
    axes.set_xlabel("share of the variation explained (%)")
    down = 0.0
    if len(importances) > 1:  # below: inside it would cover a value
        down = 0.3
        figure.legend(
            loc="upper left", bbox_to_anchor=(0.24, 0.0), frameon=False, ncols=2, fontsize=9,
            borderaxespad=0, reverse=True,
        )  # fmt: skip
    return style.add_title_and_caption(figure, "What the parameters explain", lines, down)


def draw_slices(summary: SweepSummary) -> Figure:
    """Return small plots of each objective against each parameter."""
    several = len(summary.objectives)
    panels = [(0.35 + (HEIGHT + 0.12) * index, HEIGHT) for index in range(several)]
    count, bottom = len(summary.parameters), sum(panels[-1]) + 0.45
    figure, plots = style.small_panels(count, COLUMNS, 2.75, 0.25, 0.6, panels, bottom)
    for number, parameter in enumerate(summary.parameters):
        is_first = number % COLUMNS == 0
        for index, objective in enumerate(summary.objectives):
            axes, is_last = plots[number][index], index == several - 1
            _draw_slice(axes, summary, number, index)
            axes.tick_params(labelsize=8.5, pad=2, labelleft=is_first, labelbottom=is_last)
            axes.set_ylabel(f"{objective} (%)" if is_first else "")
            axes.set_xlabel(parameter.name.replace("_", " ") if is_last else "", labelpad=2)
    for same in zip(*plots, strict=True):
        style.share_range(same)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", ncols=len(handles), frameon=False, fontsize=9,
        bbox_to_anchor=(1, 1 - 0.02 / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip
    title = "Validation accuracy along each parameter"
    return style.add_title_and_caption(figure, title, _caption(summary))


def _draw_slice(axes: Axes, summary: SweepSummary, number: int, objective: int) -> None:
    parameter = summary.parameters[number]
    own = {point.point: point.means for point in _complete(summary)}
    place = _set_scale(axes, parameter, [point[number] for point in (*summary.known, *own)])
    name = "point, mean over seeds" if len(summary.description.seeds) > 1 else "point"
    filled: dict[str, Any] = {"s": 20, "color": OURS, "alpha": 0.75, "linewidth": 0}
    hollow: dict[str, Any] = {"s": 18, "facecolor": "none", "edgecolor": GREY, "linewidth": 0.8}
    for points, label, look in ((own, name, filled), (summary.known, EARLIER, hollow)):
        if points:
            x = [place(point[number]) for point in points]
            y = [means[objective] for means in points.values()]
            axes.scatter(x, y, label=label, rasterized=len(x) > MOST_VECTORS, **look)
    if summary.best is not None:
        x, y = place(summary.best.point[number]), summary.best.means[objective]
        axes.scatter([x], [y], s=70, marker="*", color=PUBLISHED, zorder=5, label="best")
    if parameter.paper is not None:
        axes.axvline(
            place(parameter.paper), color="#999999", linestyle=(0, (2, 2)), linewidth=0.9,
            zorder=1, label="the paper's value",
        )  # fmt: skip
    axes.margins(y=0.12)


def _set_scale(
    axes: Axes, parameter: Parameter, found: Sequence[Value]
) -> Callable[[Value], float]:
    """Show the whole range that was searched; return where a value stands in it.

    Args:
        axes: to set along x.
        parameter: whose values are shown: a choice's in their order, others as numbers.
        found: its values in the sweep and in earlier ones.
    """
    if isinstance(parameter, Choice):
        values = sorted({*parameter.values, *found}, key=partial(value_order, parameter))
        axes.set_xticks(range(len(values)), list(map(value_text, values)))
        axes.set_xlim(-0.6, len(values) - 0.4)
        return lambda value: values.index(value) if value in values else math.nan
    if isinstance(parameter, Real) and parameter.log:
        axes.set_xscale("log")
        edge = (parameter.high / parameter.low) ** EDGE
        axes.set_xlim(parameter.low / edge, parameter.high * edge)
        return float
    edge = EDGE * (parameter.high - parameter.low) or 0.5
    axes.set_xlim(parameter.low - edge, parameter.high + edge)
    if isinstance(parameter, Whole) and parameter.high - parameter.low < 12:
        axes.set_xticks(range(parameter.low, parameter.high + 1))
    return float
