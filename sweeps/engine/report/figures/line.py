"""Figure 2 by our own trials: accuracy against one real parameter, the published curve beside."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gon_core.evaluation.learned_noise import LearnedNoise
from search_spaces.parameter import Value
from sweeps.engine.report.figures.accuracy_marks import (
    Look,
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
    add_legend_and_caption,
    new_axes,
    say,
)
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.space import value_text

ROUND_SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
PREFERRED_SIGMAS = (0.5, 1.0, 0.2, 2.0, 0.3, 0.1, 0.7, 1.5, 0.4)  # the others as there is room
TICK_DISTANCE = 0.06  # of the axis' length


def draw_line(summary: SweepSummary, noise: LearnedNoise | None = None) -> Figure:
    """Return the figure.

    Args:
        summary: of a search along one real parameter.
        noise: with the sizes of Gaussian noise on the same images, for the second axis of a search
            for epsilon.
    """
    (parameter,) = summary.parameters
    second = noise is not None and parameter.name == "epsilon"
    axes = new_axes(summary.description.title, pad=48 if second else 24)
    axes.set_xlabel(f"{parameter.name} (in {parameter.unit})", parse_math=False)
    axes.set_ylabel(f"{summary.measure} test accuracy (%)")
    axes.margins(x=0.04, y=0.12)
    _set_range(axes, summary)
    _draw_published(axes, summary)
    draw_baselines(axes, summary.baselines)
    axes.plot(
        [number(point.point) for point in summary.measured],
        [point.test.mean for point in summary.measured if point.test],
        color=OURS, linewidth=1.8, zorder=3,
    )  # fmt: skip
    step = _dodge(summary)
    draw_means(axes, summary.measured, lambda point: number(point.point), Look())
    draw_trials(axes, summary.measured, lambda point: number(point.point) + step)
    label_trials(axes, summary.measured)
    draw_off_curve(axes, summary.points, lambda point: number(point.point))
    if noise is not None and second:
        _draw_sigma_axis(axes, noise)
    keep_to_accuracies(axes)
    if summary.best is not None:
        text = f"best on validation: {value_text(summary.best.point[0])}"
        label_best(axes, number(summary.best.point), text, inside=second)
    if not summary.measured:
        say(axes, "no trial was measured")
    return add_legend_and_caption(axes, accuracy_caption(summary))


def number(point: Sequence[Value]) -> float:
    """Return the value of a point of one real parameter."""
    (value,) = point
    return float(value)


def _positions(summary: SweepSummary) -> list[float]:
    return [number(p.point) for p in summary.points] + [number(p) for p in summary.published.means]


def _set_range(axes: Axes, summary: SweepSummary) -> None:
    # Around a single value Matplotlib would magnify the distance of the points from their bar.
    positions = set(_positions(summary))
    if len(positions) == 1:
        (only,) = positions
        half = 0.5 * max(1.0, abs(only))
        axes.set_xlim(only - half, only + half)


def _draw_published(axes: Axes, summary: SweepSummary) -> None:
    means = summary.published.means
    if means:
        axes.plot(
            [number(point) for point in means], list(means.values()), color=PUBLISHED,
            linestyle=(0, (4, 2)) if len(means) > 1 else "", linewidth=1.2, marker="s",
            markersize=3.5 if len(means) > 1 else 5, label="published, at paper scale",
        )  # fmt: skip


def _dodge(summary: SweepSummary) -> float:
    # A fixed distance on paper, but never as far as the neighbouring value's own points.
    positions = _positions(summary)
    values = [number(point.point) for point in summary.points]
    gaps = [right - left for left, right in pairwise(values)]
    span = max(positions) - min(positions) if positions else 0.0
    return min([0.013 * (span or 1.0), *(0.45 * gap for gap in gaps)])


def _draw_sigma_axis(axes: Axes, noise: LearnedNoise) -> None:
    low, high = axes.get_xlim()
    ticks = sigma_ticks(noise, low, high)
    if not ticks:
        return
    top = axes.secondary_xaxis("top")
    top.set_xticks(list(ticks.values()), [value_text(sigma) for sigma in ticks])
    top.set_xlabel("sigma of clipped Gaussian noise of the same mean size", labelpad=6, color=GREY)
    top.tick_params(colors=GREY)
    top.spines["top"].set_visible(True)
    top.spines["top"].set_color(GREY)


def sigma_ticks(noise: LearnedNoise, low: float, high: float) -> dict[float, float]:
    """Return where round sigmas of Gaussian noise stand among the epsilons from low to high.

    A sigma stands at the mean l2 size of its noise after clipping; between the sizes that were
    measured it is interpolated. Sizes that were not measured get no tick.
    """
    # Sampled sizes may dip where they hardly grow; their running maximum does not.
    sizes = np.maximum.accumulate([0.0, *noise.gaussian_sizes.tolist()])
    sigmas = np.array([0.0, *noise.sigmas.tolist()])
    found: dict[float, float] = {}
    rest = [sigma for sigma in ROUND_SIGMAS if sigma not in PREFERRED_SIGMAS]
    for sigma in (*PREFERRED_SIGMAS, *rest):
        size = float(np.interp(sigma, sigmas, sizes))
        near = any(abs(size - other) < TICK_DISTANCE * (high - low) for other in found.values())
        if sigma <= sigmas[-1] + 1e-6 and low <= size <= high and not near:
            found[sigma] = size
    return dict(sorted(found.items()))
