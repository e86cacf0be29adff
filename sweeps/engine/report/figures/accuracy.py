"""Accuracy on corrupted test images point by point, with what was published beside it.

Along one real parameter, as in Fig. 2 of the paper, points stand at their values and are joined. In
a grid each value of the first parameter is a category, and each value of the others a series.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gon_core.evaluation.learned_noise import LearnedNoise
from search_spaces.parameter import Choice, Parameter, Point, Value, value_text
from sweeps.engine.report.figures import accuracy_marks as marks
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.style import GREY, MOST_VECTORS, OURS, PUBLISHED, SERIES
from sweeps.engine.report.summary import space
from sweeps.engine.report.summary.aggregate import LONG_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import corrupted_rows, interval_over_images

DODGE = 0.16  # of the distance of two categories, between two series
ASIDE = 0.06  # of the same, between a mean and its trials
LINE = 11.0  # points, of words below each other
LETTER = 0.068  # inches, of a checkpoint's name
SLOPE = 25  # degrees, of such names where they are too long side by side
MOST_TICKS = 24  # of more values every second one has a name, or every third, ...
# In this order they get a tick, as far as there is room.
ROUND_SIGMAS = (0.5, 1.0, 0.2, 2.0, 0.3, 0.1, 0.7, 1.5, 0.4, 0.6, 0.8, 0.9, 1.2)
TICK_DISTANCE = 0.06  # of the axis' length


class Series(NamedTuple):
    """The points that differ in the first parameter alone; ``name`` is empty of an only series."""

    name: str
    points: tuple[PointSummary, ...]
    color: str
    marker: str
    dashes: Any


def draw_accuracy(summary: SweepSummary, noise: LearnedNoise | None = None) -> Figure:
    """Return the figure of a search along a line or over a grid.

    Args:
        summary: of the search.
        noise: with the sizes of Gaussian noise on the same images, for the second axis of a search
            for epsilon.
    """
    first = summary.parameters[0]
    is_line = summary.search == "line" and len(summary.parameters) == 1
    second = noise if is_line and first.name == "epsilon" else None
    axes = style.new_axes(summary.description.title, pad=24 if second is None else 48)
    named = isinstance(first, Choice) and all(isinstance(value, str) for value in first.values)
    unit = (first.unit or first.name) if named else space.with_unit(first)
    axes.set_xlabel(unit, parse_math=False)
    axes.set_ylabel(
        f"{summary.measure} accuracy (%)" if is_line else f"{summary.measure} test accuracy (%)"
    )
    axes.margins(x=0.04, y=0.12)
    points = [*(point.point for point in summary.points), *summary.published.means]
    values = sorted({p[0] for p in points}, key=partial(space.value_order, first))
    series = _series(summary, points)
    shifts = {rest: DODGE * (k - (len(series) - 1) / 2) for k, rest in enumerate(series)}
    if is_line:
        further_down, aside = 0.0, _place_on_line(axes, summary, list(map(float, values)))
        position: Callable[[Value], float] = float
    else:
        further_down, aside = _place_categories(axes, first, values), ASIDE
        position = {value: float(index) for index, value in enumerate(values)}.__getitem__

    def place(point: PointSummary) -> float:
        return position(point.point[0]) + shifts[point.point[1:]]

    _draw_published(axes, summary, position, is_joined=is_line)
    _draw_baselines(axes, summary.baselines)
    if is_line:
        _draw_validation(axes, summary.measured, place)
    for each in series.values():
        _draw_line(axes, each, place)
        _draw_means(axes, each, place)
    _draw_trials(axes, list(series.values()), lambda point: place(point) + aside)
    marks.draw_off_curve(axes, summary.points, place)
    if second is not None:
        _draw_sigma_axis(axes, second)
    marks.keep_to_accuracies(axes)
    if best := summary.best:
        values_alone = ", ".join(map(value_text, best.point))
        text = summary.text(best.point) if len(series) > 1 else values_alone
        color, text = series[best.point[1:]].color, f"best on validation: {text}"
        marks.label_best(axes, place(best), text, color, inside=second is not None)
    if not summary.measured:
        style.say(axes, "no trial was measured")
    return style.add_legend_and_caption(axes, marks.caption(summary), further_down)


def _series(summary: SweepSummary, points: Sequence[Point]) -> dict[Point, Series]:
    others = summary.parameters[1:]
    rests = sorted({point[1:] for point in points}, key=partial(space.order, others))
    return {
        rest: Series(
            space.point_text(others, rest) if len(rests) > 1 else "",
            tuple(point for point in summary.measured if point.point[1:] == rest),
            *SERIES[number % len(SERIES)],
        )
        for number, rest in enumerate(rests)
    }


def _place_on_line(axes: Axes, summary: SweepSummary, values: Sequence[float]) -> float:
    """Set the range of the axis; return how far beside its mean a trial stands."""
    if len(values) == 1:
        # Around a single value Matplotlib would magnify the distance of the points from their bar.
        half = 0.5 * max(1.0, abs(values[0]))
        axes.set_xlim(values[0] - half, values[0] + half)
    # A fixed distance on paper, but never as far as the neighbouring value's own points.
    own = [float(point.point[0]) for point in summary.points]
    span = values[-1] - values[0] if values else 0.0
    return min([0.013 * (span or 1.0), *(0.45 * (right - left) for left, right in pairwise(own))])


def _place_categories(axes: Axes, parameter: Parameter, values: Sequence[Value]) -> float:
    """Name the ticks; return how many points that takes beyond one line."""
    axes.grid(axis="x", visible=False)
    axes.set_xlim(-0.6, max(len(values), 1) - 0.4)
    names = list(map(value_text, values))
    if len(names) > MOST_TICKS:
        step = math.ceil(len(names) / MOST_TICKS)
        axes.set_xticks(range(0, len(names), step), names[::step], fontsize=8, rotation=SLOPE)
        return LINE
    if space.label(parameter) == space.CHECKPOINT:  # what a person named stays as it is
        names = list(map(space.shorten, names))
        axes.set_xticks(range(len(names)), names, fontsize=8)
        longest = LETTER * max(map(len, names), default=0)
        if longest * len(names) <= axes.bbox.width / axes.figure.dpi:
            return 0.0
        for text in axes.get_xticklabels():
            text.set(rotation=SLOPE, ha="right", rotation_mode="anchor")
        return 72 * longest * math.sin(math.radians(SLOPE))
    # Words side by side would run into each other: one below the other.
    words = [
        name.replace("_", "\n") if isinstance(value, str) else name
        for name, value in zip(names, values, strict=True)
    ]
    lines = max((word.count("\n") for word in words), default=0)
    axes.set_xticks(range(len(words)), words, fontsize=8 if lines else 10)
    return LINE * lines


def _draw_published(
    axes: Axes, summary: SweepSummary, position: Callable[[Value], float], is_joined: bool
) -> None:
    means, known = summary.published.means, summary.benchmark.published
    is_curve = is_joined and bool(summary.published.curve)
    if means and known:
        axes.plot(
            [position(point[0]) for point in means], list(means.values()), color=PUBLISHED,
            linestyle=(0, (4, 2)) if is_curve else "", linewidth=1.2, marker="s",
            markersize=3.5 if is_curve else 5, label=known.label,
        )  # fmt: skip


def _draw_baselines(axes: Axes, baselines: Sequence[PointSummary]) -> None:
    """Draw the mean of each baseline as a line across, with its interval as a band."""
    measured = [(point, point.test) for point in baselines if point.test]
    for number, (point, test) in enumerate(measured):
        color, _, dashes = SERIES[-1 - number % (len(SERIES) - 1)]  # the points' are the first
        axes.axhspan(
            test.interval.low, test.interval.high, color=color, alpha=0.06, linewidth=0, zorder=1
        )
        axes.axhline(
            test.mean, color=color, linestyle=dashes, linewidth=1.1, zorder=2,
            label=f"baseline {point.point[0]}, {test.mean:.1f} %",
        )  # fmt: skip


def _draw_validation(axes: Axes, points: Sequence[PointSummary], place: marks.Place) -> None:
    """Draw the accuracies that the best point is chosen by: it need not be the best on the test."""
    found = [(place(point), point.objective.estimate) for point in points if point.objective]
    if found:
        axes.plot(
            *zip(*found, strict=True), color=GREY, linestyle=":", marker=".", linewidth=1.0,
            zorder=2, label="validation, mean over seeds: it chooses",
        )  # fmt: skip


def _draw_line(axes: Axes, series: Series, place: marks.Place) -> None:
    # Only numbers are joined: a word is nowhere between or beyond them.
    joined = [point for point in series.points if not isinstance(point.point[0], str)]
    axes.plot(
        list(map(place, joined)), [point.test.mean for point in joined if point.test],
        color=series.color, linestyle=series.dashes, linewidth=1.6, zorder=3,
    )  # fmt: skip


def _draw_means(axes: Axes, series: Series, place: marks.Place) -> None:
    """Draw the mean of each point with its interval; the legend says which interval it is."""
    # One seed is grey; among several series, which differ by colour, it is hollow.
    alone = {"markerfacecolor": "white"} if series.name else {"color": GREY}
    name = f"{series.name}: " if series.name else ""
    for is_over_seeds, text, kind in (
        (True, "mean over seeds, 95 % t interval", {}),
        (False, "one seed, 95 % interval over images", alone),
    ):
        found = [
            (place(point), point.test)
            for point in series.points
            if point.test and point.test.is_over_seeds == is_over_seeds
        ]
        if found:
            x, tests = zip(*found, strict=True)
            look: dict[str, Any] = {"color": series.color, "label": name + text} | kind
            axes.errorbar(
                x, [test.mean for test in tests], marks.arms(test.interval for test in tests),
                fmt=series.marker, markersize=4, linewidth=1.1, capsize=3.5, capthick=1.1, zorder=4,
                **look,
            )  # fmt: skip


def _draw_trials(axes: Axes, series: Sequence[Series], place: marks.Place) -> None:
    """Draw each measured trial, hollow unless it converged; the legend says how they ended.

    They stand beside the error bars: on them, many trials would hide the bars.
    """
    look: dict[str, Any] = {"s": 16, "linewidth": 0.9, "zorder": 5}
    for status, text in LONG_STATUS.items():
        statuses = 0
        for each in series:
            dots = [
                (place(point), interval_over_images(trial, rows).estimate)
                for point in each.points
                for trial in point.trials
                if trial.status == status and (rows := corrupted_rows(trial))
            ]
            face = each.color if status == "converged" else "white"
            if dots:
                axes.scatter(
                    *zip(*dots, strict=True), facecolor=face, edgecolor=each.color,
                    rasterized=len(dots) > MOST_VECTORS, **look,
                )  # fmt: skip
            statuses += len(dots)
        if statuses:
            # The colours of several series do not say which of them the legend's trial is of.
            edge = OURS if len(series) == 1 else GREY
            face = edge if status == "converged" else "white"
            axes.scatter([], [], facecolor=face, edgecolor=edge, label=f"trial, {text}", **look)


def _draw_sigma_axis(axes: Axes, noise: LearnedNoise) -> None:
    ticks = sigma_ticks(noise, *axes.get_xlim())
    if not ticks:
        return
    top = axes.secondary_xaxis("top")
    top.set_xticks(list(ticks.values()), list(map(value_text, ticks)))
    top.set_xlabel("sigma of clipped Gaussian noise of the same mean size", labelpad=6, color=GREY)
    top.tick_params(colors=GREY)
    top.spines["top"].set(visible=True, color=GREY)


def sigma_ticks(noise: LearnedNoise, low: float, high: float) -> dict[float, float]:
    """Return where round sigmas of Gaussian noise stand among the epsilons from low to high.

    A sigma stands at the mean l2 size of its noise after clipping; between the sizes that were
    measured it is interpolated. Sizes that were not measured get no tick.
    """
    # Sampled sizes may dip where they hardly grow; their running maximum does not.
    sizes = np.maximum.accumulate([0.0, *noise.gaussian_sizes.tolist()])
    sigmas = np.array([0.0, *noise.sigmas.tolist()])
    found: dict[float, float] = {}
    for sigma in ROUND_SIGMAS:
        size = float(np.interp(sigma, sigmas, sizes))
        near = any(abs(size - other) < TICK_DISTANCE * (high - low) for other in found.values())
        if sigma <= sigmas[-1] + 1e-6 and low <= size <= high and not near:
            found[sigma] = size
    return dict(sorted(found.items()))
