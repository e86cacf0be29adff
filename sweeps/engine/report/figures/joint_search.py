"""The figures of a joint search: how it went, the Pareto front, what matters, and slices.

Points are numbered in the order of the search, here and in tables.
"""

from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeps.engine.report.figures.accuracy_marks import (
    arms,
    caption,
    draw_off_curve,
    keep_to_accuracies,
    label_best,
)
from sweeps.engine.report.figures.style import (
    GREY,
    MOST_VECTORS,
    OURS,
    PUBLISHED,
    add_legend_and_caption,
    new_axes,
    say,
)
from sweeps.engine.report.sentences import plural
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary

EARLIER = "earlier sweeps"
STRIP = 0.16  # of the width of the points of this sweep, for the points of earlier sweeps
LABELLED = 12  # points of the front


def draw_progress(summary: SweepSummary) -> Figure:
    """Return the figure of the corrupted validation accuracy by point, with the best so far."""
    axes = new_axes(summary.description.title, pad=24)
    axes.set_xlabel("point, in the order of the search")
    axes.set_ylabel("corrupted validation accuracy (%)")
    axes.margins(y=0.12)
    complete = complete_points(summary)
    last = max((point.number for point in summary.points), default=1)
    _draw_earlier(axes, summary, last)
    _draw_complete(axes, complete, lambda point: (point.number, point.objective))
    if complete:
        best = list(accumulate((p.means[corrupted(summary)] for p in complete), max))
        numbers = [point.number for point in complete]
        axes.step(
            [*numbers, last + 0.5], [*best, best[-1]], where="post", color=PUBLISHED, linewidth=1.4,
            label="best so far", zorder=3,
        )  # fmt: skip
    else:
        say(axes, "no point was measured with all its seeds")
    axes.set_xlim(right=last + 0.6)
    if not summary.known:
        axes.set_xlim(left=0.4)
    ticks = MaxNLocator(10, integer=True).tick_values(1, last)
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= last])
    draw_off_curve(axes, summary.points, lambda point: point.number)
    keep_to_accuracies(axes)
    if summary.best is not None:
        label_best(axes, summary.best.number, f"best: #{summary.best.number}")
    return add_legend_and_caption(axes, joint_caption(summary))


def _draw_earlier(axes: Axes, summary: SweepSummary, last: int) -> None:
    if not summary.known:
        return
    values = [objectives[corrupted(summary)] for objectives in summary.known.values()]
    width = max(1.0, STRIP * last)
    step = width / len(values)
    draw_known(axes, [0.3 - width + step * (index + 0.5) for index in range(len(values))], values)
    axes.axvspan(0.3 - width - 0.2, 0.3, color="#f4f4f4", zorder=0)
    axes.set_xlim(left=0.3 - width - 0.2)


def draw_front(summary: SweepSummary) -> Figure:
    """Return the figure of clean against corrupted validation accuracy with the Pareto front."""
    axes = new_axes(summary.description.title)
    x_name, y_name = summary.objectives
    axes.set_xlabel(f"{x_name} validation accuracy (%)")
    axes.set_ylabel(f"{y_name} validation accuracy (%)")
    axes.margins(x=0.1, y=0.14)
    if summary.known:
        draw_known(axes, *map(list, zip(*summary.known.values(), strict=True)))
    front = {point.point for point in summary.front}
    others = [point for point in complete_points(summary) if point.point not in front]
    _draw_pairs(axes, others, OURS, "o", "point, mean over its seeds")
    if summary.front:
        x, y = zip(*(point.means for point in summary.front), strict=True)
        # Left of the first and below the last point there is nothing to gain: the front ends there.
        axes.step(x, y, where="pre", color=PUBLISHED, linewidth=1.3, zorder=3)
        _draw_pairs(axes, summary.front, PUBLISHED, "D", "Pareto front of this sweep")
        for point, *place in zip(summary.front[:LABELLED], x, y, strict=False):
            axes.annotate(
                f"#{point.number}", (place[0], place[1]), xytext=(5, 5), textcoords="offset points",
                color=PUBLISHED, fontweight="bold", fontsize=9, zorder=6,
            )  # fmt: skip
    else:
        say(axes, "no point was measured with all its seeds")
    return add_legend_and_caption(axes, joint_caption(summary))


def _draw_pairs(
    axes: Axes, points: Sequence[PointSummary], color: str, marker: str, label: str
) -> None:
    if not points:
        return
    x, y = zip(*(point.means for point in points), strict=True)
    across, along = (
        arms(list(point.objectives.values())[axis] for point in points) for axis in range(2)
    )
    seeded = any(arm > 0 for side in (*across, *along) for arm in side)
    axes.errorbar(
        x, y, yerr=along, xerr=across, fmt=marker, color=color, markersize=5, linewidth=0.8,
        alpha=0.9, zorder=4, label=label + (", 95 % t interval" if seeded else ""),
        rasterized=len(x) > MOST_VECTORS,
    )  # fmt: skip


def _draw_complete(axes: Axes, points: Sequence[PointSummary], place) -> None:
    if not points:
        return
    x, intervals = zip(*map(place, points), strict=True)
    bars = arms(intervals)
    seeded = any(map(any, bars))
    axes.errorbar(
        x, [interval.estimate for interval in intervals], yerr=bars if seeded else None, fmt="o",
        color=OURS, markersize=5, linewidth=0.8, capsize=2.5 if seeded else 0, zorder=4,
        label="mean over seeds, 95 % t interval" if seeded else "one seed, no interval",
        rasterized=len(x) > MOST_VECTORS,
    )  # fmt: skip


def draw_known(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Draw points of earlier sweeps, hollow and grey."""
    axes.scatter(
        x, y, s=24, facecolor="none", edgecolor=GREY, linewidth=0.9, zorder=3,
        label=f"{EARLIER} ({len(x)})",
    )  # fmt: skip


def complete_points(summary: SweepSummary) -> list[PointSummary]:
    """Return the points measured with every seed, in the order of the search."""
    return sorted((p for p in summary.points if p.is_complete), key=lambda point: point.number)


def corrupted(summary: SweepSummary) -> int:
    """Return the index of the accuracy on corrupted images among the objectives."""
    return summary.objectives.index("corrupted")


def joint_caption(summary: SweepSummary) -> list[str]:
    """Return ``caption``, and how many points are not drawn."""
    incomplete = sum(not point.is_complete for point in summary.measured)
    line = f"{plural(incomplete, 'point')} not drawn: not every seed was measured."
    return caption(summary) + ([line] if incomplete else [])
