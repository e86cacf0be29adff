"""What figures of accuracies share: intervals, trials without accuracy, the best, the caption."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes

from gon_core.intervals import Interval
from sweeps.engine.report import sentences
from sweeps.engine.report.figures.style import GREY, OFF_CURVE, OURS
from sweeps.engine.report.summary.aggregate import LONG_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import corrupted_rows
from sweeps.engine.system.text import plural

LOWEST, HIGHEST = 0.0, 100.0  # percent
EDGE = 0.03  # of the y axis, beyond the least and the greatest accuracy
LETTER = 0.0155  # width of a bold letter, of that of the axes

Place = Callable[[PointSummary], float]
"""Where a point stands on the x axis."""


def arms(intervals: Iterable[Interval]) -> Float64[np.ndarray, "side interval"]:
    """Return how far intervals of accuracies reach below and above their means.

    One without ends, of one seed, has no arms.
    """
    found = np.array([(mean - low, high - mean) for mean, low, high in intervals]).reshape(-1, 2)
    return np.nan_to_num(found.clip(0), posinf=0).T


def keep_to_accuracies(axes: Axes) -> None:
    """End the y axis where accuracies end; everything is drawn already.

    A little room is left there, so that no mark is cut in half, but no tick.
    """
    low, high = axes.get_ylim()
    room = EDGE * (high - low)
    low, high = max(low, LOWEST - room), min(high, HIGHEST + room)
    axes.set_yticks([y for y in axes.get_yticks() if max(low, LOWEST) <= y <= min(high, HIGHEST)])
    axes.set_ylim(low, high)


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
    if inside:
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.09 * (top - bottom))
    axes.text(
        share, 0.945 if inside else 1.02, text, color=color, transform=axes.transAxes, ha="center",
        fontweight="bold", parse_math=False, zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5} if inside else None,
    )  # fmt: skip


def caption(summary: SweepSummary) -> list[str]:
    """Return what must be said below every figure of accuracies."""
    trials = summary.trials
    lines = [sentences.deviations(summary)]
    if limited := sum(trial.status == "max_epochs" for trial in trials):
        lines.append(f"{limited} of {len(trials)} trials had not converged when they ended.")
    if summary.missing:
        lines.append(f"{plural(len(summary.missing), 'trial')} not ended yet.")
    return lines
