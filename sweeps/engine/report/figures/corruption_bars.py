"""Accuracy corruption by corruption: a panel for each, a bar for each point, as in Table 6."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gon_core.measurement import CLEAN
from search_spaces.parameter import Point
from sweeps.engine.report.figures import point_rows, style
from sweeps.engine.report.figures.style import OURS
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate

BARS = (
    "Dots: accuracy in percent; the bar from there to 100 % is the error. Every panel has its own "
    "range. The highest number of each is bold."
)
MEAN = "mean"  # over the corruptions; published rows have it under this name
COLUMNS = 6
COLUMN, GAP, BELOW = 1.28, 0.4, 0.3  # inches
OTHER = "#5a5a5a"  # points that are not the best
FAINT = 0.28  # opacity of bars


def draw_corruption_bars(summary: SweepSummary) -> Figure:
    """Return the figure: clean images, the mean over corruptions, and each of them.

    Dots are means over seeds with their 95 % intervals; bars reach from them to 100 %. Where the
    paper published the same row its accuracy is marked. Of many points the best are shown.
    """
    points, corruptions = point_rows.shown(summary), summary.suite.corruptions
    titles = {CLEAN: CLEAN, MEAN: f"mean of {summary.suite.mean.removesuffix(' corruptions')}"}
    titles |= {name: name.replace("_", " ") for name in corruptions}
    figure, plots = point_rows.panels(
        summary, points, list(titles.values()), COLUMNS, COLUMN, GAP, BELOW
    )
    drawn: list[Estimate] = []
    has_published = False
    for axes, name in zip(plots, titles, strict=True):
        measured = {
            point.point: point.test if name == MEAN else point_rows.accuracy(point, "test", name)
            for point in points
        }
        estimates = {point: found for point, found in measured.items() if found}
        rows = summary.published.rows
        published = {p: float(rows[p][name]) for p in measured if name in rows.get(p, {})}
        _draw_panel(axes, summary, points, estimates, published)
        drawn += estimates.values()
        has_published |= bool(published)
    mark = point_rows.published_mark(summary) if has_published else ""
    lines = [BARS, *point_rows.notes(drawn), mark]
    caption = point_rows.caption(summary, points, lines)
    return style.add_title_and_caption(figure, "Test accuracy on each corruption", caption)


def _draw_panel(
    axes: Axes,
    summary: SweepSummary,
    points: list[PointSummary],
    estimates: dict[Point, Estimate],
    published: dict[Point, float],
) -> None:
    if not estimates:
        axes.set_xticks([])
        style.say(axes, "not measured")
        return
    # Bars that begin at 0 would all look alike; those that end at 100 are as long as the error.
    lowest = min([*(e.interval.low for e in estimates.values()), *published.values()])
    room = 0.06 * max(100 - lowest, 1.0)
    axes.set_xlim(max(lowest, 0.0) - room, 100)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    highest = max(estimate.mean for estimate in estimates.values())
    for row, point in enumerate(points):
        color = OURS if point is summary.best else OTHER
        bold = False
        if estimate := estimates.get(point.point):
            bold = round(estimate.mean, 1) == round(highest, 1)
            axes.barh(
                row, 100 - estimate.mean, left=estimate.mean, height=0.7, color=color, alpha=FAINT,
                linewidth=0, zorder=2,
            )  # fmt: skip
        point_rows.draw_accuracy(
            axes, row, estimates.get(point.point), published.get(point.point), color, bold
        )
