"""Figure 2 by our own trials: accuracy against the searched parameter, the published curve beside.

Matplotlib without pyplot: no global state, no display.
"""

import io
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweeps.engine.records import Status
from sweeps.engine.report import sentences
from sweeps.engine.report.aggregate import (
    LONG_STATUS,
    SweepSummary,
    ValueSummary,
    binomial_interval,
    corrupted_rows,
)
from sweeps.engine.report.sentences import number

# Okabe and Ito's palette: told apart by the colour-blind, and in grey by the line style.
OURS, PUBLISHED, GREY = "#0072B2", "#D55E00", "#666666"
OFF_CURVE: dict[Status, str] = {"pruned": "v", "diverged": "x", "failed": "+"}
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "game of noise",  # else the ids, and so the bytes, differ in every run
    "svg.fonttype": "path",
}
SIZE = (7.0, 4.3)
DPI = 200
LEGEND_LINE = 14.0  # points
LEGEND_ORDER = ("mean", "one", "published", "trial")  # first words; the rest follows as drawn


def figure_name(summary: SweepSummary) -> str:
    """Return the figure's file name without its ending."""
    return summary.published.figure or f"accuracy_vs_{summary.parameter}"


def render_figures(summary: SweepSummary) -> dict[str, bytes]:
    """Return the figure as PNG and SVG, by file name; equal records give equal bytes."""
    files = {}
    with matplotlib.rc_context(STYLE):
        figure = draw(summary)
        for ending in ("png", "svg"):
            buffer = io.BytesIO()
            metadata = {"Date": None} if ending == "svg" else {"Software": None}
            figure.savefig(
                buffer, format=ending, dpi=DPI, bbox_inches="tight", pad_inches=0.15,
                metadata=metadata,
            )  # fmt: skip
            files[f"{figure_name(summary)}.{ending}"] = buffer.getvalue()
    return files


def draw(summary: SweepSummary) -> Figure:
    """Return the figure."""
    figure = Figure(figsize=SIZE)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.12, 0.88, 0.8))
    title = textwrap.fill(str(summary.description["title"]), 70)
    axes.set_title(title, loc="left", fontsize=13, parse_math=False, pad=24)
    parameter = summary.description["parameter"]
    axes.set_xlabel(f"{parameter['name']} (in {parameter['unit']})", parse_math=False)
    axes.set_ylabel(f"{summary.measure} test accuracy (%)")
    axes.margins(x=0.04, y=0.12)
    _set_range(axes, summary)
    _draw_published(axes, summary)
    _draw_means(axes, summary.measured)
    _draw_trials(axes, summary)
    _draw_off_curve(axes, summary)
    _mark_best(axes, summary)
    if not summary.measured:
        axes.text(
            0.5, 0.5, "no trial was measured", transform=axes.transAxes, ha="center", color=GREY
        )
    _draw_legend_and_caption(axes, summary)
    return figure


def _positions(summary: SweepSummary) -> list[float]:
    return [value.value for value in summary.values] + list(summary.published.curve)


def _set_range(axes: Axes, summary: SweepSummary) -> None:
    # Around a single value Matplotlib would magnify the distance of the points from their bar.
    positions = set(_positions(summary))
    if len(positions) == 1:
        (only,) = positions
        half = 0.5 * max(1.0, abs(only))
        axes.set_xlim(only - half, only + half)


def _draw_published(axes: Axes, summary: SweepSummary) -> None:
    curve = summary.published.curve
    if curve:
        axes.plot(
            list(curve), list(curve.values()), color=PUBLISHED, linestyle=(0, (4, 2)),
            linewidth=1.2, marker="s", markersize=3.5, label="published, at paper scale",
        )  # fmt: skip


def _draw_means(axes: Axes, values: Sequence[ValueSummary]) -> None:
    axes.plot(
        [value.value for value in values],
        [value.test.mean for value in values if value.test],
        color=OURS, linewidth=1.8, zorder=3,
    )  # fmt: skip
    over_seeds = [value for value in values if value.test and value.test.is_over_seeds]
    over_images = [value for value in values if value.test and not value.test.is_over_seeds]
    _draw_bars(axes, over_seeds, "mean over seeds, 95 % t interval", OURS)
    _draw_bars(axes, over_images, "one seed, 95 % binomial interval", GREY)


def _draw_bars(axes: Axes, values: Sequence[ValueSummary], label: str, color: str) -> None:
    tests = [value.test for value in values if value.test]
    if tests:
        below = [max(0.0, test.mean - test.interval.low) for test in tests]
        above = [max(0.0, test.interval.high - test.mean) for test in tests]
        axes.errorbar(
            [value.value for value in values], [test.mean for test in tests], [below, above],
            color=color, fmt="D", markersize=4, linewidth=1.1, capsize=3.5, capthick=1.1,
            zorder=4, label=label,
        )  # fmt: skip


def _draw_trials(axes: Axes, summary: SweepSummary) -> None:
    # Beside the error bar, not on it: with many seeds the points would hide the bar.
    points: dict[Status, list[tuple[float, float]]] = {"converged": [], "max_epochs": []}
    step = _dodge(summary)
    for value in summary.measured:
        measured = [trial for trial in value.trials if corrupted_rows(trial)]
        for trial in measured:
            accuracy = binomial_interval(corrupted_rows(trial)).estimate
            points.setdefault(trial.status, []).append((value.value + step, accuracy))
    for status, positions in points.items():
        if positions:
            x, y = zip(*positions, strict=True)
            face = OURS if status == "converged" else "white"
            axes.scatter(
                x, y, s=16, facecolor=face, edgecolor=OURS, linewidth=0.9, zorder=5,
                label=f"trial, {LONG_STATUS[status]}",
            )  # fmt: skip


def _dodge(summary: SweepSummary) -> float:
    # A fixed distance on paper, but never as far as the neighbouring value's own points.
    positions = _positions(summary)
    gaps = [right.value - left.value for left, right in pairwise(summary.values)]
    span = max(positions) - min(positions) if positions else 0.0
    return min([0.013 * (span or 1.0), *(0.45 * gap for gap in gaps)])


def _draw_off_curve(axes: Axes, summary: SweepSummary) -> None:
    # On the axis, one row a status: they have no accuracy, but they must not vanish.
    row = 0
    for status, marker in OFF_CURVE.items():
        lost = [
            value.value
            for value in summary.values
            for trial in value.trials
            if trial.status == status and not corrupted_rows(trial)
        ]
        if lost:
            axes.scatter(
                lost, [0.03 + 0.045 * row] * len(lost), marker=marker, s=26, color=GREY,
                linewidth=1.2, clip_on=False, transform=axes.get_xaxis_transform(), zorder=5,
                label=f"{LONG_STATUS[status]}, not measured ({len(lost)})",
            )  # fmt: skip
            row += 1


def _mark_best(axes: Axes, summary: SweepSummary) -> None:
    best = summary.best
    if best is not None and best.test is not None:
        axes.axvline(best.value, color=OURS, linewidth=0.9, linestyle=":", zorder=2)
        axes.text(
            best.value, 1.02, f"best on validation: {number(best.value)}", color=OURS,
            transform=axes.get_xaxis_transform(), ha="center", fontweight="bold",
        )  # fmt: skip


def _draw_legend_and_caption(axes: Axes, summary: SweepSummary) -> None:
    # All below the axes, so that no label ever covers a point.
    entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=_legend_position)
    offset = 38.0
    if entries:
        handles, labels = zip(*entries, strict=True)
        height = axes.get_window_extent().height * 72 / axes.figure.dpi
        axes.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(-0.01, -offset / height), ncols=2,
            frameon=False, fontsize=9, borderaxespad=0, columnspacing=2,
        )  # fmt: skip
        offset += LEGEND_LINE * math.ceil(len(entries) / 2) + 12
    text = "\n".join(textwrap.fill(line, 104) for line in _caption(summary))
    axes.annotate(
        text, (0, 0), xytext=(0, -offset), xycoords="axes fraction", textcoords="offset points",
        va="top", fontsize=8.5, color="#333333", parse_math=False, linespacing=1.35,
    )  # fmt: skip


def _legend_position(entry: tuple[Any, str]) -> int:
    word = entry[1].replace(",", "").split()[0]
    return LEGEND_ORDER.index(word) if word in LEGEND_ORDER else len(LEGEND_ORDER)


def _caption(summary: SweepSummary) -> list[str]:
    statuses = Counter(trial.status for trial in summary.trials)
    budget = statuses["max_epochs"]
    unfinished = f"{budget} of {len(summary.trials)} trials had not converged when they ended."
    missing = f"{sentences.plural(len(summary.missing), 'trial')} not ended yet."
    lines = [
        sentences.cut_short(summary),
        unfinished if budget else "",
        missing if summary.missing else "",
    ]
    return [line for line in lines if line]
