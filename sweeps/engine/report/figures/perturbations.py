"""Tables 2 and 7 as a figure: epsilon* under each kind of noise, and accuracy under attack."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_spaces.parameter import Point
from sweeps.engine.report.figures import point_rows, style
from sweeps.engine.report.figures.style import GREY, OURS
from sweeps.engine.report.summary import perturbations as summaries
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate
from sweeps.engine.report.summary.perturbations import Size

SIZES = (
    "epsilon*: the l2 size, on images in [0, 1], at which half of them are misclassified. Every "
    "kind of noise has its own range."
)
NEVER = "Triangles: never, whatever the size."
PARTLY = "Where some seeds never come to it, grey dots are the others."
HOLLOW = "Hollow: a noise generator had not converged."
ATTACKS = "Attacks by norm and largest size: accuracy in percent."
COLUMNS = 4
COLUMN, GAP, BELOW = 1.98, 0.56, 0.55  # inches


def draw_perturbations(summary: SweepSummary) -> Figure:
    """Return the figure: a panel for each noise and each attack, a row for each point.

    Args:
        summary: what to show, with an epsilon* or an attack; of many points the best.
    """
    points, published = point_rows.shown(summary), summary.published.attacks
    noises, attacks = summaries.noises_of(points), summaries.attacks_of(points)
    titles = [noise.replace("_", " ") for noise in noises]
    titles += map(summaries.attack_name, attacks)
    figure, plots = point_rows.panels(summary, points, titles, COLUMNS, COLUMN, GAP, BELOW)
    sizes: list[Size] = []
    for axes, noise in zip(plots, noises, strict=False):
        found = {p.point: size for p in points if (size := summaries.size_of(p, noise))}
        _draw_sizes(axes, points, found, _right_end(summary, list(found.values())))
        sizes += found.values()
    accuracies: list[Estimate] = []
    has_published = False
    for axes, attack in zip(plots[len(noises) :], attacks, strict=True):
        axes.set_xlabel("accuracy (%)", fontsize=8.5, labelpad=1)
        axes.set_xlim(0, 100)
        axes.set_xticks([0, 50, 100])
        for row, point in enumerate(points):
            accuracy = summaries.attack_accuracy_of(point, attack)
            beside = published.get(point.point, {}).get(attack[0])
            point_rows.draw_accuracy(axes, row, accuracy, beside)
            accuracies += [accuracy] if accuracy else []
            has_published |= beside is not None
    title = summaries.perturbation_title([trial for point in points for trial in point.trials])
    mark = point_rows.published_mark(summary) if has_published else ""
    lines = [*_notes(sizes, accuracies), mark]
    return style.add_title_and_caption(figure, title, point_rows.caption(summary, points, lines))


def _right_end(summary: SweepSummary, sizes: list[Size]) -> float:
    ends = [end for size in sizes for end in (*size.interval, *size.medians)]
    finite = [end for end in ends if math.isfinite(end)]
    if not finite:
        return math.sqrt(math.prod(summary.benchmark.image_shape))  # from a black to a white image
    # Room for the triangles, right of all that is finite.
    return (1.25 if math.inf in ends else 1.08) * max([*finite, 1.0])


def _draw_sizes(
    axes: Axes, points: list[PointSummary], sizes: dict[Point, Size], right: float
) -> None:
    """Draw dots with whiskers; where epsilon* is infinite a triangle at the right edge."""
    axes.set_xlabel("epsilon*", fontsize=8.5, labelpad=1)
    axes.set_xlim(0, right)
    for row, point in enumerate(points):
        size = sizes.get(point.point)
        if size is None:
            continue
        mean, low, high = size.interval
        # What is infinite ends at the edge.
        low, high = (min(end, right) for end in (max(low, 0.0), high))
        axes.plot([low, high], [row, row], "|-", color=OURS, linewidth=1.1, markersize=4, zorder=3)
        kind: dict[str, Any] = {"color": OURS, "zorder": 5, "clip_on": False}
        kind["markerfacecolor"] = OURS if size.converged else "white"
        if math.isfinite(mean):
            axes.plot([mean], [row], "o", markersize=4, label="epsilon*", **kind)
        else:
            others = [median for median in size.medians if math.isfinite(median)]
            axes.plot(others, [row] * len(others), "o", color=GREY, markersize=3, zorder=4)
            kind["transform"] = axes.get_yaxis_transform()
            axes.plot([0.97], [row], ">", markersize=6, label="never", **kind)
        point_rows.write(axes, row, size.text)


def _notes(sizes: list[Size], accuracies: list[Estimate]) -> list[str]:
    kinds = [len(size.medians) > 1 for size in sizes]
    kinds += [estimate.is_over_seeds for estimate in accuracies]
    one_seed = ["of the median"] * bool(sizes) + ["over images"] * bool(accuracies)
    return [
        SIZES if sizes else "",
        NEVER if any("never" in size.text for size in sizes) else "",
        PARTLY if any(size.text.startswith("never ") for size in sizes) else "",
        "" if all(size.converged for size in sizes) else HOLLOW,
        ATTACKS if accuracies else "",
        point_rows.intervals(kinds, " and ".join(one_seed)),
    ]
