"""What accuracy figures share: means with intervals, single trials, trials without accuracy."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from gon_core.intervals import Interval
from sweeps.engine.records import Status
from sweeps.engine.report import sentences
from sweeps.engine.report.figures.style import GREY, MOST_VECTORS, OFF_CURVE, OURS, SERIES
from sweeps.engine.report.summary.aggregate import LONG_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import binomial_interval, corrupted_rows

ACCURACIES = (0.0, 100.0)  # percent
CUT = "Intervals are cut at 0 and 100 %, where accuracies end."
EDGE = 0.03  # of the y axis, beyond the least and the greatest accuracy
LETTER = 0.0155  # width of a bold letter, of that of the axes

Place = Callable[[PointSummary], float]
"""Where a point stands on the x axis."""


@dataclass(frozen=True)
class Look:
    """How one series of points is drawn; ``name`` is empty if it is the only one."""

    color: str = OURS
    marker: str = "D"
    name: str = ""

    def label(self, text: str) -> str:
        """Return the text of the legend."""
        return f"{self.name}: {text}" if self.name else text


def draw_means(axes: Axes, points: Sequence[PointSummary], place: Place, look: Look) -> None:
    """Draw the mean of each measured point with its interval; it says which interval it is."""
    over_seeds = [point for point in points if point.test and point.test.is_over_seeds]
    over_images = [point for point in points if point.test and not point.test.is_over_seeds]
    label = look.label("mean over seeds, 95 % t interval")
    _draw_bars(axes, over_seeds, place, look.marker, label, color=look.color)
    label = look.label("one seed, 95 % binomial interval")
    # One seed is grey; among several series, which differ by colour, it is hollow.
    kind = {"color": look.color, "markerfacecolor": "white"} if look.name else {"color": GREY}
    _draw_bars(axes, over_images, place, look.marker, label, **kind)


def _draw_bars(
    axes: Axes, points: Sequence[PointSummary], place: Place, marker: str, label: str, **kind: Any
) -> None:
    tests = [point.test for point in points if point.test]
    if tests:
        axes.errorbar(
            [place(point) for point in points], [test.mean for test in tests],
            arms(test.interval for test in tests),
            fmt=marker, markersize=4, linewidth=1.1, capsize=3.5, capthick=1.1, zorder=4,
            label=label, **kind,
        )  # fmt: skip


def arms(intervals: Iterable[Interval]) -> list[list[float]]:
    """Return how far intervals of accuracies reach below and above their means, within 0 to 100.

    One without ends, of one seed, has no arms.
    """
    pairs = [(interval.estimate, clip(interval)) for interval in intervals]
    below = [_length(mean - low) for mean, (low, _) in pairs]
    above = [_length(high - mean) for mean, (_, high) in pairs]
    return [below, above]


def _length(arm: float) -> float:
    return max(0.0, arm) if math.isfinite(arm) else 0.0


def clip(interval: Interval) -> tuple[float, float]:
    """Return the ends of an interval where accuracies may be: few seeds give ends beyond."""
    return max(interval.low, ACCURACIES[0]), min(interval.high, ACCURACIES[1])


def clip_note(intervals: Iterable[Interval]) -> str:
    """Return that intervals are cut, in a sentence; empty unless one is."""
    cut = any(clip(each) != (each.low, each.high) for each in intervals if math.isfinite(each.low))
    return CUT if cut else ""


def keep_to_accuracies(axes: Axes) -> None:
    """End the y axis where accuracies end; everything is drawn already.

    A little room is left there, so that no mark is cut in half, but no tick.
    """
    low, high = axes.get_ylim()
    room = EDGE * (high - low)
    low, high = max(low, ACCURACIES[0] - room), min(high, ACCURACIES[1] + room)
    ticks = [y for y in axes.get_yticks() if low <= y <= high]
    axes.set_yticks([y for y in ticks if ACCURACIES[0] <= y <= ACCURACIES[1]])
    axes.set_ylim(low, high)


def draw_trials(
    axes: Axes, points: Sequence[PointSummary], place: Place, color: str = OURS
) -> None:
    """Draw each measured trial; hollow unless it converged.

    Args:
        axes: to draw on.
        points: of which the measured trials are drawn.
        place: beside the error bar, not on it: with many seeds the trials would hide the bar.
        color: of the points.
    """
    places: dict[Status, tuple[list[float], list[float]]] = {}
    for point in points:
        for trial in point.trials:
            if rows := corrupted_rows(trial):
                x, y = places.setdefault(trial.status, ([], []))
                x.append(place(point))
                y.append(binomial_interval(rows).estimate)
    for status, (x, y) in places.items():
        _dots(axes, x, y, color, status, rasterized=len(x) > MOST_VECTORS)


def label_trials(axes: Axes, points: Sequence[PointSummary], color: str = OURS) -> None:
    """Put into the legend how the measured trials ended."""
    statuses = {trial.status for p in points for trial in p.trials if corrupted_rows(trial)}
    for status in LONG_STATUS:
        if status in statuses:
            _dots(axes, [], [], color, status, label=f"trial, {LONG_STATUS[status]}")


def _dots(axes: Axes, x: list, y: list, color: str, status: Status, **kind: Any) -> None:
    face = color if status == "converged" else "white"
    axes.scatter(
        x, y, s=16, facecolor=face, edgecolor=color, linewidth=0.9, zorder=5, **kind
    )  # fmt: skip


def draw_off_curve(axes: Axes, points: Sequence[PointSummary], place: Place) -> None:
    """Draw trials without accuracy on the axis, one row a status: they must not vanish."""
    row = 0
    for status, marker in OFF_CURVE.items():
        unmeasured = [
            place(point)
            for point in points
            for trial in point.trials
            if trial.status == status and not corrupted_rows(trial)
        ]
        if unmeasured:
            axes.scatter(
                unmeasured, [0.03 + 0.045 * row] * len(unmeasured), marker=marker, s=26, color=GREY,
                linewidth=1.2, clip_on=False, transform=axes.get_xaxis_transform(), zorder=5,
                label=f"{LONG_STATUS[status]}, not measured ({len(unmeasured)})",
            )  # fmt: skip
            row += 1


def draw_baselines(axes: Axes, baselines: Sequence[PointSummary]) -> None:
    """Draw the mean of each baseline as a line across, with its interval as a band."""
    for number, point in enumerate(p for p in baselines if p.test):
        assert point.test is not None
        color, _, dashes = SERIES[-1 - number % (len(SERIES) - 1)]  # the points' are the first
        low, high = clip(point.test.interval)
        axes.axhspan(low, high, color=color, alpha=0.06, linewidth=0, zorder=1)
        axes.axhline(
            point.test.mean, color=color, linestyle=dashes, linewidth=1.1, zorder=2,
            label=f"baseline {point.point[0]}, {point.test.mean:.1f} %",
        )  # fmt: skip


def label_best(axes: Axes, x: float, text: str, color: str = OURS, inside: bool = False) -> None:
    """Name the best point above the axes, with a dotted line down to it.

    Args:
        axes: whose range along x is final.
        x: of the best point.
        text: its name.
        color: of both.
        inside: whether the place above is taken, so that the name stands below the upper edge.
    """
    axes.axvline(x, color=color, linewidth=0.9, linestyle=":", zorder=2)
    low, high = axes.get_xlim()
    # Centred above the line, unless it would stick out at a side.
    half = len(text) * LETTER / 2
    share = min(max((x - low) / (high - low), half), 1 - half)
    y = 1.02
    if inside:
        y = 0.945
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.09 * (top - bottom))
    axes.text(
        share, y, text, color=color, transform=axes.transAxes, ha="center", fontweight="bold",
        parse_math=False, zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5} if inside else None,
    )  # fmt: skip


def caption(summary: SweepSummary) -> list[str]:
    """Return what must be said below every figure of accuracies."""
    statuses = Counter(trial.status for trial in summary.trials)
    limited = statuses["max_epochs"]
    unfinished = f"{limited} of {len(summary.trials)} trials had not converged when they ended."
    missing = f"{sentences.plural(len(summary.missing), 'trial')} not ended yet."
    lines = [
        sentences.deviations(summary),
        unfinished if limited else "",
        missing if summary.missing else "",
    ]
    return [line for line in lines if line]


def accuracy_caption(summary: SweepSummary) -> list[str]:
    """Return the caption of a figure of the accuracies on corrupted test images."""
    cut = clip_note(point.test.interval for point in summary.compared if point.test)
    return [*([cut] if cut else []), *caption(summary)]
