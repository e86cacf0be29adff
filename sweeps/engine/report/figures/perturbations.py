"""Tables 2 and 7 as a figure: epsilon* under each kind of noise, and accuracy under attack."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gon_core.intervals import Interval, mean_interval
from gon_core.measurement import Measurement
from search_spaces.parameter import Point
from sweeps.engine.records import TrialResult
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.accuracy_marks import arms, clip_note
from sweeps.engine.report.figures.panels import Blocks
from sweeps.engine.report.figures.style import (
    GREY,
    OURS,
    PUBLISHED,
    add_title_and_caption,
    new_axes,
    say,
)
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate, estimate
from sweeps.engine.report.summary.space import value_text

SIZES = (
    "epsilon*: the l2 size, on images in [0, 1], at which half of them are misclassified. Every "
    "kind of noise has its own range."
)
NEVER = "Triangles: never, whatever the size."
PARTLY = "Where some seeds never come to it, grey dots are the others."
HOLLOW = "Hollow: a noise generator had not converged."
ATTACKS = "Attacks by norm and largest size: accuracy in percent."
PUBLISHED_MARK = "Orange: published, at paper scale."
NOISES = ("gaussian", "uniform", "speckle", "adversarial_1x1", "adversarial_3x3")
COLUMNS = 4
COLUMN, GAP, TOP, BELOW = 1.98, 0.56, 0.25, 0.55  # inches; the numbers stand in the gap
WIDEST = 28.0  # l2 distance of a black and a white image

Attack = tuple[str, str, float]
"""Its name, norm and size."""


@dataclass(frozen=True)
class Size:
    """The epsilon* of one point.

    Attributes:
        interval: mean over seeds with its 95 % t interval; the median's own for one seed.
        medians: of each seed, infinite where no size leads half of the images to another class.
        converged: whether all generators had.
    """

    interval: Interval
    medians: tuple[float, ...]
    converged: bool

    @property
    def text(self) -> str:
        """The number, or how many seeds never come to it."""
        if math.isfinite(self.interval.estimate):
            return f"{self.interval.estimate:.1f}"
        lost = sum(map(math.isinf, self.medians))
        return "never" if lost == len(self.medians) else f"never {lost}/{len(self.medians)}"


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
        return _nothing()
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


def perturbation_title(trials: Sequence[TrialResult], attacks: bool = True) -> str:
    """Return the title of what was measured: epsilon*, accuracy under attack, or both.

    Args:
        trials: that were measured.
        attacks: whether the accuracies under attack are told.
    """
    sizes = "median perturbation size epsilon*" * any(t.of("epsilon_star") for t in trials)
    attacked = "accuracy under attack" * (attacks and any(t.of("attacks") for t in trials))
    title = ", and ".join(filter(None, (sizes, attacked)))
    return title[:1].upper() + title[1:]


def noises_of(points: Sequence[PointSummary]) -> list[str]:
    """Return the kinds of noise of which points have an epsilon*, the known ones first."""
    named = {row.setting for p in points for trial in p.trials for row in trial.of("epsilon_star")}
    return [noise for noise in NOISES if noise in named] + sorted(named - set(NOISES))


def attacks_of(points: Sequence[PointSummary]) -> list[Attack]:
    """Return the attacks that points were measured under."""
    trials = [trial for point in points for trial in point.trials]
    return list(dict.fromkeys(_key(row) for trial in trials for row in trial.of("attacks")))


def attack_name(attack: Attack) -> str:
    """Return for example ``PGD linf 0.1``."""
    name, norm, size = attack
    return f"{name.upper()} {norm} {value_text(size)}"


def size_of(point: PointSummary, noise: str) -> Size | None:
    """Return a point's epsilon* under one kind of noise; None if it was not measured."""
    rows = _size_rows(point, noise)
    if not rows:
        return None
    medians = tuple(row.value for row in rows)
    if len(rows) == 1:
        interval = rows[0].interval
    elif all(map(math.isfinite, medians)):
        interval = mean_interval(list(medians))
    else:
        interval = Interval(math.inf, math.inf, math.inf)
    return Size(interval, medians, all(bool(row.number("converged")) for row in rows))


def attack_accuracy_of(point: PointSummary, attack: Attack) -> Estimate | None:
    """Return a point's accuracy under one attack; None if it was not measured."""
    rows = [[row for row in t.of("attacks") if _key(row) == attack] for t in point.trials]
    return estimate([found[:1] for found in rows if found])


def _size_rows(point: PointSummary, noise: str) -> list[Measurement]:
    found = [row for trial in point.trials for row in trial.of("epsilon_star")]
    return [row for row in found if row.setting == noise]


def _key(row: Measurement) -> Attack:
    return row.setting, str(row.extra["norm"]), row.number("size") or 0.0


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
    asked = [attack_accuracy_of(point, attack) for point in points for attack in attacks]
    found = [estimate for estimate in asked if estimate]
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


def _nothing() -> Figure:
    axes = new_axes("Median perturbation size epsilon*, and accuracy under attack")
    say(axes, "no trial was measured under noise or attack")
    axes.set_axis_off()
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
