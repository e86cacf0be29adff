"""What figures of many points share: which points, under which names, and one row for each."""

from collections.abc import Container, Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gon_core.measurement import TOP1, Measurement
from search_spaces.parameter import Point
from sweeps.engine.records import TrialResult
from sweeps.engine.report import sentences
from sweeps.engine.report.figures import accuracy_marks as marks
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.style import OURS, PUBLISHED
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate, estimate
from sweeps.engine.report.summary.space import shorten

MOST = 16  # points in one figure
ROW, TOP = 0.175, 0.25  # inches: of a point, and of what stands above a panel
LABEL = 8.0  # points, of a row's name
LETTER = 0.062  # inches, of a row's name, with room for bold ones
FROM_PANEL = 1.05  # where the numbers beside a panel begin, of its width


def shown(
    summary: SweepSummary, most: int = MOST, having: Container[Point] | None = None
) -> list[PointSummary]:
    """Return the measured points in the summary's order, the best if there are many; baselines.

    Args:
        summary: of the sweep.
        most: points beside the baselines.
        having: points to choose from; None for all.
    """
    usable = {p.point for p in summary.compared if having is None or p.point in having}
    best = [point.point for point in summary.by_rank if point.point in usable][:most]
    chosen = {*best, *(point for point in usable if summary.is_baseline(point))}
    return [point for point in summary.compared if point.point in chosen]


def name(summary: SweepSummary, point: PointSummary) -> str:
    """Return what a figure calls a point; a checkpoint is called as somebody named it."""
    text = sentences.row_name(summary, point)
    return shorten(text) if summary.has_checkpoints else text.replace("_", " ")


def accuracy(
    point: PointSummary, split: str, corruption: str, severity: int | None = None
) -> Estimate | None:
    """Return a point's accuracy on one kind of images; None if no trial was measured on them.

    Args:
        point: of whose trials to take the mean.
        split: see ``Measurement``.
        corruption: its name, or ``clean``.
        severity: of the corruption; None for the mean over those that were measured.
    """

    def rows_of(trial: TrialResult) -> list[Measurement]:
        return [
            row
            for row in trial.of(TOP1, split)
            if row.setting == corruption and severity in (None, row.severity)
        ]

    return estimate(point.trials, rows_of)


def notes(estimates: Sequence[Estimate]) -> list[str]:
    """Return which intervals are drawn, in sentences."""
    return [intervals(estimate.is_over_seeds for estimate in estimates)]


def first_seed(points: Sequence[PointSummary]) -> str:
    """Return that one trial stands for each point, in a sentence; empty if none has several."""
    return "First seed each." if any(len(point.trials) > 1 for point in points) else ""


def published_mark(summary: SweepSummary) -> str:
    """Return what the published marks are, in a sentence."""
    known = summary.benchmark.published
    return f"Orange: {known.label}." if known else ""


def intervals(kinds: Iterable[bool], one_seed: str = "over images") -> str:
    """Return which intervals are drawn; empty if none is.

    Args:
        kinds: for each of them, whether it is over seeds.
        one_seed: what the interval of one seed is.
    """
    found = set(kinds)
    words = ["Student t over seeds"] * (True in found)
    alone = f"{one_seed}, of one model each"
    words += [f"{one_seed} where one seed was measured" if words else alone] * (False in found)
    return f"95 % intervals: {'; '.join(words)}." if words else ""


def caption(
    summary: SweepSummary, points: Sequence[PointSummary], lines: Sequence[str]
) -> list[str]:
    """Return a caption: what the figure says, which points are missing, what holds of all figures.

    Args:
        summary: that is shown.
        points: of it that are drawn.
        lines: sentences on the figure itself; empty ones are left out.
    """
    searched = (*summary.points, *summary.baselines)
    unmeasured = [name(summary, point) for point in searched if point.test is None]
    has_best = any(point is summary.best for point in points)
    is_part = len(points) < len(summary.compared)
    parts = [
        *lines,
        "The best point, chosen on validation images, has a blue name." if has_best else "",
        f"{len(points)} of {len(summary.compared)} measured points are shown." if is_part else "",
        f"Not measured: {', '.join(unmeasured)}." if unmeasured else "",
    ]
    return [" ".join(filter(None, parts)), *marks.caption(summary)]


def panels(
    summary: SweepSummary, points: Sequence[PointSummary], titles: Sequence[str], columns: int,
    column: float, gap: float, below: float,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a figure of panels with a row for each point, the first at the top, named at the left.

    Args:
        summary: of the sweep.
        points: that have a row.
        titles: of the panels.
        columns: how many stand side by side, at most.
        column, gap: inches, as of ``style.small_panels``; the numbers stand in the gap.
        below: inches between a panel and the title of the next one below.
    """
    names = [name(summary, point) for point in points]
    margin = 0.15 + LETTER * max(map(len, names), default=0)
    high = ROW * max(len(points), 1)
    figure, plots = style.small_panels(
        len(titles), columns, column, gap, margin, [(TOP, high)], TOP + high + below
    )
    for item, (title, (axes,)) in enumerate(zip(titles, plots, strict=True)):
        axes.set_title(title, loc="left", fontsize=9.5, pad=4)
        axes.set_ylim(max(len(points), 1) - 0.5, -0.5)
        axes.set_yticks(range(len(points)), names)
        axes.grid(axis="y", visible=False)
        is_first = item % columns == 0
        axes.tick_params(axis="y", length=0, labelsize=LABEL, labelleft=is_first, pad=3)
        axes.tick_params(axis="x", labelsize=7.5, pad=2)
        for label, point in zip(axes.get_yticklabels(), points, strict=is_first):
            label.set_parse_math(False)
            if point is summary.best:
                label.set(color=OURS, fontweight="bold")
    return figure, [axes for (axes,) in plots]


def draw_accuracy(
    axes: Axes, row: int, found: Estimate | None, published: float | None, color: str = OURS,
    bold: bool = False,
) -> None:  # fmt: skip
    """Draw a point's accuracy in percent with its interval and number, and the published one."""
    if published is not None:
        axes.plot(
            [published], [row], "|", color=PUBLISHED, markersize=11.5, markeredgewidth=2.2,
            zorder=3, clip_on=False,
        )  # fmt: skip
    if found:
        axes.errorbar(
            [found.mean], [row], xerr=marks.arms([found.interval]), fmt="o", color=color,
            markersize=4, linewidth=1.1, capsize=2, capthick=0.9, zorder=5, clip_on=False,
        )  # fmt: skip
        write(axes, row, f"{found.mean:.1f}", bold)


def write(axes: Axes, row: int, text: str, bold: bool = False) -> None:
    """Write a number right of a row."""
    axes.text(
        FROM_PANEL, row, text, transform=axes.get_yaxis_transform(), va="center_baseline",
        fontsize=7, fontweight="bold" if bold else "normal", parse_math=False,
    )  # fmt: skip
