"""Accuracy over the points of a grid: a category for each value, one series a further value."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_spaces.parameter import Choice, Parameter, Point, Value
from sweeps.engine.report.figures.accuracy_marks import (
    Look,
    Place,
    accuracy_caption,
    draw_baselines,
    draw_means,
    draw_off_curve,
    draw_trials,
    keep_to_accuracies,
    label_best,
    label_trials,
)
from sweeps.engine.report.figures.style import (
    GREY,
    OURS,
    PUBLISHED,
    SERIES,
    add_legend_and_caption,
    new_axes,
    say,
)
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.space import (
    CHECKPOINT,
    label,
    point_text,
    shorten,
    value_order,
    value_text,
)

DODGE = 0.16  # of the distance of two categories, between two series
LINE = 11.0  # points, of words below each other
LETTER = 0.068  # inches, of a checkpoint's name
SLOPE = 25  # degrees, of such names where they are too long side by side
MOST_TICKS = 24  # of more values every second one has a name, or every third, ...
ASIDE = 0.06  # of the same, between a mean and its trials


def draw_grid(summary: SweepSummary) -> Figure:
    """Return the figure: the first parameter along x, the others as series."""
    categories, series = _categories(summary), _series(summary)
    index = {value: float(position) for position, value in enumerate(categories)}
    axes = new_axes(summary.description.title, pad=24)
    first = summary.parameters[0]
    axes.set_xlabel(_axis(first), parse_math=False)
    axes.set_ylabel(f"{summary.measure} test accuracy (%)")
    axes.margins(y=0.12)
    further_down = _name_categories(axes, first, categories)
    axes.grid(axis="x", visible=False)
    axes.set_xlim(-0.6, max(len(categories), 1) - 0.4)

    shifts = {rest: DODGE * (k - (len(series) - 1) / 2) for k, rest in enumerate(series)}

    def place(point: PointSummary) -> float:
        return index[point.point[0]] + shifts[point.point[1:]]

    _draw_published(axes, summary, index)
    draw_baselines(axes, summary.baselines)
    for number, rest in enumerate(series):
        color, marker, dashes = SERIES[number % len(SERIES)]
        name = point_text(summary.parameters[1:], rest) if len(series) > 1 else ""
        points = [point for point in summary.measured if point.point[1:] == rest]
        _draw_line(axes, points, place, {"color": color, "linestyle": dashes})
        draw_means(axes, points, place, Look(color, marker, name))
        draw_trials(axes, points, lambda point: place(point) + ASIDE, color)
    # The colours of several series do not say which of them the legend's trial is of.
    label_trials(axes, summary.measured, OURS if len(series) == 1 else GREY)
    draw_off_curve(axes, summary.points, place)
    keep_to_accuracies(axes)
    if summary.best is not None:
        color = SERIES[series.index(summary.best.point[1:]) % len(SERIES)][0]
        values = ", ".join(map(value_text, summary.best.point))
        text = summary.text(summary.best.point) if len(series) > 1 else values
        label_best(axes, place(summary.best), f"best on validation: {text}", color)
    if not summary.measured:
        say(axes, "no trial was measured")
    return add_legend_and_caption(axes, accuracy_caption(summary), further_down)


def _categories(summary: SweepSummary) -> list[Value]:
    points = [point.point for point in summary.points] + list(summary.published.means)
    first = summary.parameters[0]
    return sorted({point[0] for point in points}, key=lambda value: value_order(first, value))


def _axis(parameter: Parameter) -> str:
    named = isinstance(parameter, Choice) and all(isinstance(v, str) for v in parameter.values)
    return parameter.unit if named else f"{parameter.name} (in {parameter.unit})"


def _name_categories(axes: Axes, parameter: Parameter, categories: Sequence[Value]) -> float:
    """Name the ticks; return how many points that takes beyond one line."""
    names = list(map(value_text, categories))
    if len(names) > MOST_TICKS:
        step = math.ceil(len(names) / MOST_TICKS)
        axes.set_xticks(range(0, len(names), step), names[::step], fontsize=8, rotation=SLOPE)
        return LINE
    if label(parameter) == CHECKPOINT:  # what a person named stays as it is
        names = [shorten(name) for name in names]
        axes.set_xticks(range(len(names)), names, fontsize=8)
        if (
            LETTER * max(map(len, names), default=0) * len(names)
            <= axes.bbox.width / axes.figure.dpi
        ):
            return 0.0
        for text in axes.get_xticklabels():
            text.set(rotation=SLOPE, ha="right", rotation_mode="anchor")
        return 72 * LETTER * max(map(len, names)) * math.sin(math.radians(SLOPE))
    # Words side by side would run into each other: one below the other.
    names = [
        name.replace("_", "\n") if isinstance(value, str) else name
        for name, value in zip(names, categories, strict=True)
    ]
    lines = max((name.count("\n") for name in names), default=0)
    axes.set_xticks(range(len(names)), names)
    if lines:
        axes.tick_params(axis="x", labelsize=8)
    return LINE * lines


def _series(summary: SweepSummary) -> list[Point]:
    points = [point.point for point in summary.points] + list(summary.published.means)
    rest = summary.parameters[1:]
    return sorted(
        {point[1:] for point in points}, key=lambda point: tuple(map(value_order, rest, point))
    )


def _draw_line(axes: Axes, points: Sequence[PointSummary], place: Place, style: Any) -> None:
    # Only numbers are joined: a word is nowhere between or beyond them.
    numbers = [point for point in points if not isinstance(point.point[0], str)]
    axes.plot(
        [place(point) for point in numbers], [point.test.mean for point in numbers if point.test],
        linewidth=1.6, zorder=3, **style,
    )  # fmt: skip


def _draw_published(axes: Axes, summary: SweepSummary, index: dict[Value, float]) -> None:
    means = summary.published.means
    if means:
        axes.scatter(
            [index[point[0]] for point in means], list(means.values()), color=PUBLISHED,
            marker="s", s=26, label="published, at paper scale", zorder=3,
        )  # fmt: skip
