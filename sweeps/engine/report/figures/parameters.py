"""The searched space of a joint search: which parameters matter, and a slice along each."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from search_spaces.parameter import Choice, Parameter, Real, Value, Whole
from sweeps.engine.report.figures.joint_search import EARLIER, complete_points, joint_caption
from sweeps.engine.report.figures.panels import Blocks, share_range
from sweeps.engine.report.figures.style import (
    GREY,
    MOST_VECTORS,
    OURS,
    PUBLISHED,
    SERIES,
    add_title_and_caption,
    new_figure,
)
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.importance import MOST_EXPLAINED, Importances
from sweeps.engine.report.summary.space import value_order, value_text

COLUMNS = 3
HEIGHT = 1.75  # inches of one slice
EDGE = 0.06  # of the searched range, left free at both sides


def draw_importances(summary: SweepSummary, importances: Importances) -> Figure:
    """Return the figure of how much of each objective every parameter explains.

    Args:
        summary: of a joint search.
        importances: not empty.
    """
    figure = new_figure((7.0, 1.0 + 0.42 * len(summary.names)))
    axes = figure.add_axes((0.25, 0.16, 0.73, 0.8))
    points = len(summary.known) + len(complete_points(summary))
    count = f"{MOST_EXPLAINED:,} of {points:,}" if points > MOST_EXPLAINED else f"{points}"
    lines = [
        f"Functional analysis of variance over a random forest, of {count} points, those of "
        "earlier sweeps included; of few points it is a hint.",
        *joint_caption(summary),
    ]
    mean = {name: sum(shares.get(name, 0.0) for shares in importances.values())
            for name in summary.names}  # fmt: skip
    names = sorted(summary.names, key=lambda name: mean[name])
    height = 0.75 / len(importances)
    for number, (objective, shares) in enumerate(reversed(importances.items())):
        places = [k + height * (number - (len(importances) - 1) / 2) for k in range(len(names))]
        values = [100 * shares.get(name, 0.0) for name in names]
        color = SERIES[len(importances) - 1 - number][0]
        bars = axes.barh(
            places, values, height * 0.9, color=color, label=f"{objective} validation accuracy"
        )
        axes.bar_label(bars, [f"{value:.0f} %" for value in values], padding=3, fontsize=9)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.grid(axis="y", visible=False)
    axes.set_xlim(
        0, 1.12 * max(100 * s for shares in importances.values() for s in shares.values())
    )
    axes.set_xlabel("share of the variation explained (%)")
    if len(importances) > 1:
        axes.legend(loc="lower right", frameon=False, reverse=True)
    add_title_and_caption(figure, "What the parameters explain", lines)
    return figure


def draw_slices(summary: SweepSummary) -> Figure:
    """Return small plots of each objective against each parameter."""
    several = len(summary.objectives)
    panels = tuple((0.35 + (HEIGHT + 0.12) * index, HEIGHT) for index in range(several))
    bottom = sum(panels[-1]) + 0.45
    layout = Blocks(len(summary.parameters), COLUMNS, 2.75, 0.25, 0.6, panels, bottom)
    figure = layout.figure()
    plots = [layout.add(figure, number) for number in range(len(summary.parameters))]
    for number, parameter in enumerate(summary.parameters):
        is_first = layout.is_first(number)
        for index, (axes, objective) in enumerate(
            zip(plots[number], summary.objectives, strict=True)
        ):
            _draw_slice(axes, summary, number, index)
            is_last = index == several - 1
            axes.tick_params(labelsize=8.5, pad=2, labelleft=is_first, labelbottom=is_last)
            axes.set_ylabel(f"{objective} (%)" if is_first else "")
            axes.set_xlabel(parameter.name.replace("_", " ") if is_last else "", labelpad=2)
    for same in zip(*plots, strict=True):
        share_range(list(same))
    _add_legend(figure, summary)
    add_title_and_caption(
        figure, "Validation accuracy along each parameter", joint_caption(summary)
    )
    return figure


def _draw_slice(axes: Axes, summary: SweepSummary, number: int, objective: int) -> None:
    parameter = summary.parameters[number]
    complete = complete_points(summary)
    values = [point[number] for point in summary.known]
    values += [point.point[number] for point in complete]
    place = _Places(parameter, values)
    place.set_scale(axes)
    known = [(place(p[number]), o[objective]) for p, o in summary.known.items()]
    own = [(place(p.point[number]), p.means[objective]) for p in complete]
    if known:
        x, y = zip(*known, strict=True)
        axes.scatter(x, y, s=18, facecolor="none", edgecolor=GREY, linewidth=0.8)
    if own:
        x, y = zip(*own, strict=True)
        axes.scatter(
            x, y, s=20, color=OURS, alpha=0.75, linewidth=0, rasterized=len(x) > MOST_VECTORS
        )  # fmt: skip
    if summary.best is not None:
        x, y = place(summary.best.point[number]), summary.best.means[objective]
        axes.scatter([x], [y], s=70, marker="*", color=PUBLISHED, zorder=5)
    axes.axvline(place(parameter.paper), color="#999999", linestyle=(0, (2, 2)), linewidth=0.9,
                 zorder=1)  # fmt: skip
    axes.margins(y=0.12)


class _Places:
    """Where the values of a parameter stand: a choice's in their order, else as numbers."""

    def __init__(self, parameter: Parameter, values: Sequence[Value]) -> None:
        self.parameter = parameter
        self.categories: list[Value] | None = None
        if isinstance(parameter, Choice):
            found = {*parameter.values, *values}
            self.categories = sorted(found, key=lambda value: value_order(parameter, value))

    def __call__(self, value: Value) -> float:
        if self.categories is not None:
            return self.categories.index(value) if value in self.categories else math.nan
        return float(value)

    def set_scale(self, axes: Axes) -> None:
        """Show the whole range that was searched."""
        parameter = self.parameter
        if self.categories is not None:
            axes.set_xticks(range(len(self.categories)), [value_text(v) for v in self.categories])
            axes.set_xlim(-0.6, len(self.categories) - 0.4)
            return
        assert not isinstance(parameter, Choice)
        if isinstance(parameter, Real) and parameter.log:
            axes.set_xscale("log")
            edge = (parameter.high / parameter.low) ** EDGE
            axes.set_xlim(parameter.low / edge, parameter.high * edge)
            return
        edge = EDGE * (parameter.high - parameter.low) or 0.5
        axes.set_xlim(parameter.low - edge, parameter.high + edge)
        if isinstance(parameter, Whole) and parameter.high - parameter.low < 12:
            axes.set_xticks(range(parameter.low, parameter.high + 1))


def _add_legend(figure: Figure, summary: SweepSummary) -> None:
    def dot(label: str, marker: str, **kind) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, label=label, **kind)

    seeds = len(summary.description.seeds)
    handles = [dot("point" if seeds == 1 else "point, mean over seeds", "o", color=OURS)]
    if summary.best is not None:
        handles.append(dot("best", "*", color=PUBLISHED, markersize=10))
    if summary.known:
        handles.append(dot(EARLIER, "o", color=GREY, markerfacecolor="none"))
    handles.append(
        Line2D([], [], color="#999999", linestyle=(0, (2, 2)), label="the paper's value")
    )
    figure.legend(
        handles=handles, loc="upper right", ncols=len(handles), frameon=False, fontsize=9,
        bbox_to_anchor=(1, 1 - 0.02 / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip
