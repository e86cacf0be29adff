"""MNIST-C corruption by corruption: a panel for each, a bar for each point, as in Table 6."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.measurement import CLEAN
from search_spaces.parameter import Point
from sweeps.engine.report.figures import point_rows
from sweeps.engine.report.figures.accuracy_marks import arms, clip_note
from sweeps.engine.report.figures.panels import Blocks
from sweeps.engine.report.figures.style import OURS, PUBLISHED, add_title_and_caption, say
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate

TITLE = "Test accuracy on each corruption"
BARS = (
    "Dots: accuracy in percent; the bar from there to 100 % is the error. Every panel has its own "
    "range. The highest number of each is bold."
)
PUBLISHED_MARK = "Orange: published, at paper scale."
MEAN = "mean"  # over the corruptions; published rows have it under this name
COLUMNS = 6
COLUMN, GAP, TOP, BELOW = 1.28, 0.4, 0.25, 0.3  # inches; the numbers stand in the gap
OTHER = "#5a5a5a"  # points that are not the best
FAINT = 0.28  # opacity of bars


@dataclass(frozen=True)
class Panel:
    """The estimates of one kind of images by point, and the published accuracies, in percent."""

    name: str
    estimates: dict[Point, Estimate]
    published: dict[Point, float]


def draw_corruption_bars(summary: SweepSummary) -> Figure:
    """Return the figure: clean images, the mean over corruptions, and each of them.

    Dots are means over seeds with their 95 % intervals; bars reach from them to 100 %. Where the
    paper published the same row its accuracy is marked. Of many points the best are shown.
    """
    points = point_rows.shown(summary)
    panels = [_panel(summary, points, name) for name in (CLEAN, MEAN, *CORRUPTIONS)]
    high = point_rows.height(points)
    layout = Blocks(
        len(panels), COLUMNS, COLUMN, GAP, point_rows.margin(summary, points), ((TOP, high),),
        TOP + high + BELOW,
    )  # fmt: skip
    figure = layout.figure()
    for item, panel in enumerate(panels):
        (axes,) = layout.add(figure, item)
        _draw_panel(axes, panel, summary, points)
        point_rows.name_rows(axes, summary, points, layout.is_first(item))
    published = any(panel.published for panel in panels)
    estimates = [estimate for panel in panels for estimate in panel.estimates.values()]
    whiskers = point_rows.intervals(estimate.is_over_seeds for estimate in estimates)
    cut = clip_note(estimate.interval for estimate in estimates)
    lines = [BARS, whiskers, cut, PUBLISHED_MARK if published else ""]
    add_title_and_caption(figure, TITLE, point_rows.caption(summary, points, lines))
    return figure


def _panel(summary: SweepSummary, points: list[PointSummary], name: str) -> Panel:
    found = {point.point: _estimate(point, name) for point in points}
    rows = summary.published.rows
    return Panel(
        name,
        {point: estimate for point, estimate in found.items() if estimate is not None},
        {point: float(rows[point][name]) for point in found if name in rows.get(point, {})},
    )


def _estimate(point: PointSummary, name: str) -> Estimate | None:
    return point.test if name == MEAN else point_rows.accuracy(point, "test", name)


def _draw_panel(
    axes: Axes, panel: Panel, summary: SweepSummary, points: list[PointSummary]
) -> None:
    title = {MEAN: f"mean of {len(CORRUPTIONS)}"}.get(panel.name, panel.name.replace("_", " "))
    axes.set_title(title, loc="left", fontsize=9.5, pad=4)
    if not panel.estimates:
        axes.set_xticks([])
        say(axes, "not measured")
        return
    # Bars that begin at 0 would all look alike; those that end at 100 are as long as the error.
    lowest = min([*(e.interval.low for e in panel.estimates.values()), *panel.published.values()])
    room = 0.06 * max(100 - lowest, 1.0)
    axes.set_xlim(max(lowest, 0.0) - room, 100)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    highest = max(estimate.mean for estimate in panel.estimates.values())
    for row, point in enumerate(points):
        if point.point in panel.published:
            axes.plot(
                [panel.published[point.point]], [row], "|", color=PUBLISHED, markersize=11,
                markeredgewidth=2.2, zorder=4, clip_on=False,
            )  # fmt: skip
        if estimate := panel.estimates.get(point.point):
            _draw_bar(axes, row, estimate, point_rows.is_best(summary, point))
            is_highest = round(estimate.mean, 1) == round(highest, 1)
            point_rows.write(axes, row, f"{estimate.mean:.1f}", bold=is_highest)


def _draw_bar(axes: Axes, row: int, estimate: Estimate, is_best: bool) -> None:
    color = OURS if is_best else OTHER
    axes.barh(
        row, 100 - estimate.mean, left=estimate.mean, height=0.7, color=color, alpha=FAINT,
        linewidth=0, zorder=2,
    )  # fmt: skip
    axes.errorbar(
        [estimate.mean], [row], xerr=arms([estimate.interval]), fmt="o", color=color,
        markersize=3.5, linewidth=1.1, capsize=2, capthick=0.9, zorder=5, clip_on=False,
    )  # fmt: skip
