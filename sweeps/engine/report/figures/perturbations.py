"""Tables 2 and 7 as a figure: epsilon* under each kind of noise, and accuracy under attack."""

import math
from collections.abc import Collection, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_spaces.parameter import Point
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.accuracy_marks import arms, clip_note
from sweeps.engine.report.figures.panels import Blocks
from sweeps.engine.report.figures.style import (
    GREY,
    OURS,
    PUBLISHED,
    add_title_and_caption,
    empty_figure,
)
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.perturbations import (
    Attack,
    Size,
    attack_accuracy_of,
    attack_name,
    attacks_of,
    noises_of,
    perturbation_title,
    size_of,
)

SIZES = (
    "epsilon*: the l2 size, on images in [0, 1], at which half of them are misclassified. Every "
    "kind of noise has its own range."
)
NEVER = "Triangles: never, whatever the size."
PARTLY = "Where some seeds never come to it, grey dots are the others."
HOLLOW = "Hollow: a noise generator had not converged."
ATTACKS = "Attacks by norm and largest size: accuracy in percent."
PUBLISHED_MARK = "Orange: published, at paper scale."
COLUMNS = 4
COLUMN, GAP, TOP, BELOW = 1.98, 0.56, 0.25, 0.55  # inches; the numbers stand in the gap
WIDEST = 28.0  # l2 distance of a black and a white image


def draw_perturbations(
    summary: SweepSummary, published: Mapping[Point, Mapping[str, float]] | None = None
) -> Figure:
    """Return the figure: a panel for each noise and each attack, a row for each point.

    Args:
        summary: what to show; of many points the best.
        published: by point and attack's name, such as ``ddn``, the paper's accuracy in percent.
    """
    points = point_rows.shown(summary)
    noises, attacks = noises_of(points), attacks_of(points)
    if not noises and not attacks:
        title = "Median perturbation size epsilon*, and accuracy under attack"
        return empty_figure(title, "no trial was measured under noise or attack")
    layout = Blocks(
        len(noises) + len(attacks), COLUMNS, COLUMN, GAP, point_rows.margin(summary, points),
        ((TOP, point_rows.height(points)),), TOP + point_rows.height(points) + BELOW,
    )  # fmt: skip
    figure = layout.figure()
    panels = [layout.add(figure, item)[0] for item in range(layout.items)]
    sizes = {noise: {p.point: size for p in points if (size := size_of(p, noise))}
             for noise in noises}  # fmt: skip
    for axes, noise in zip(panels, noises, strict=False):
        _draw_sizes(axes, noise, sizes[noise], points)
    given = published or {}
    for axes, attack in zip(panels[len(noises) :], attacks, strict=True):
        _draw_attack(axes, attack, points, given)
    for item, axes in enumerate(panels):
        point_rows.name_rows(axes, summary, points, layout.is_first(item))
    title = perturbation_title([trial for point in points for trial in point.trials])
    add_title_and_caption(figure, title, _caption(summary, points, sizes, attacks, given))
    return figure


def _right_end(sizes: Collection[Size]) -> float:
    ends = [end for size in sizes for end in (*size.interval, *size.medians)]
    finite = [end for end in ends if math.isfinite(end)]
    if not finite:
        return WIDEST
    # Room for the triangles, right of all that is finite.
    return (1.25 if math.inf in ends else 1.08) * max([*finite, 1.0])


def _draw_sizes(
    axes: Axes, noise: str, sizes: dict[Point, Size], points: list[PointSummary]
) -> None:
    """Draw dots with whiskers; where epsilon* is infinite a triangle at the right edge."""
    axes.set_title(noise.replace("_", " "), loc="left", fontsize=9.5, pad=4)
    axes.set_xlabel("epsilon*", fontsize=8.5, labelpad=1)
    right = _right_end(sizes.values())
    axes.set_xlim(0, right)
    at_edge = axes.get_yaxis_transform()
    for row, point in enumerate(points):
        size = sizes.get(point.point)
        if size is None:
            continue
        face = OURS if size.converged else "white"
        mean, low, high = size.interval
        # What is infinite ends at the edge.
        low, high = (min(end, right) for end in (max(low, 0.0), high))
        axes.plot([low, high], [row, row], "|-", color=OURS, linewidth=1.1, markersize=4, zorder=3)
        kind = {"color": OURS, "markerfacecolor": face, "zorder": 5, "clip_on": False}
        if math.isfinite(mean):
            axes.plot([mean], [row], "o", markersize=4, label="epsilon*", **kind)
        else:
            others = [median for median in size.medians if math.isfinite(median)]
            axes.plot(others, [row] * len(others), "o", color=GREY, markersize=3, zorder=4)
            axes.plot([0.97], [row], ">", transform=at_edge, markersize=6, label="never", **kind)
        point_rows.write(axes, row, size.text)


def _draw_attack(
    axes: Axes,
    attack: Attack,
    points: list[PointSummary],
    published: Mapping[Point, Mapping[str, float]],
) -> None:
    name = attack[0]
    axes.set_title(attack_name(attack), loc="left", fontsize=9.5, pad=4)
    axes.set_xlabel("accuracy (%)", fontsize=8.5, labelpad=1)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    for row, point in enumerate(points):
        if name in published.get(point.point, {}):
            axes.plot(
                [published[point.point][name]], [row], "|", color=PUBLISHED, markersize=12,
                markeredgewidth=2.2, zorder=3, clip_on=False,
            )  # fmt: skip
        if found := attack_accuracy_of(point, attack):
            axes.errorbar(
                [found.mean], [row], xerr=arms([found.interval]), fmt="o", color=OURS, markersize=4,
                linewidth=1.1, capsize=2, capthick=0.9, zorder=4, clip_on=False,
            )  # fmt: skip
            point_rows.write(axes, row, f"{found.mean:.1f}")


def _caption(
    summary: SweepSummary,
    points: list[PointSummary],
    sizes: Mapping[str, Mapping[Point, Size]],
    attacks: list[Attack],
    published: Mapping[Point, Mapping[str, float]],
) -> list[str]:
    drawn = [size for by_point in sizes.values() for size in by_point.values()]
    partly = any(size.text.startswith("never ") for size in drawn)
    measured = [attack_accuracy_of(point, attack) for point in points for attack in attacks]
    found = [estimate for estimate in measured if estimate]
    kinds = [len(size.medians) > 1 for size in drawn] + [e.is_over_seeds for e in found]
    marked = any(attack[0] in published.get(p.point, {}) for p in points for attack in attacks)
    one_seed = " and ".join(
        ["of the median"] * bool(drawn) + ["binomial over images"] * bool(found)
    )
    lines = [
        SIZES if drawn else "",
        NEVER if any("never" in size.text for size in drawn) else "",
        PARTLY if partly else "",
        "" if all(size.converged for size in drawn) else HOLLOW,
        ATTACKS if attacks else "",
        PUBLISHED_MARK if marked else "",
        point_rows.intervals(kinds, one_seed),
        clip_note(estimate.interval for estimate in found),
    ]
    return point_rows.caption(summary, points, lines)
