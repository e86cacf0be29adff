"""What figures of many points share: which points, under which names, and one row for each."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from gon_core.measurement import TOP1, Measurement
from sweeps.engine.report import sentences
from sweeps.engine.report.figures import accuracy_marks
from sweeps.engine.report.figures.style import OURS
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate, estimate
from sweeps.engine.report.summary.space import shorten

MOST = 16  # points in one figure
ROW = 0.175  # inches, of a point
LABEL = 8.0  # points, of a row's name
LETTER = 0.062  # inches, of a row's name, with room for bold ones
FROM_PANEL = 1.05  # where the numbers beside a panel begin, of its width


def shown(summary: SweepSummary, most: int = MOST) -> list[PointSummary]:
    """Return the measured points in the summary's order, the best if there are many; baselines."""
    ranked = [point.point for point in summary.by_rank if point.test is not None]
    best = set(ranked[:most])
    return [p for p in summary.compared if p.point in best or summary.is_baseline(p.point)]


def name(summary: SweepSummary, point: PointSummary) -> str:
    """Return what a figure calls a point; a checkpoint is called as somebody named it."""
    text = sentences.row_name(summary, point)
    return shorten(text) if summary.has_checkpoints else text.replace("_", " ")


def is_best(summary: SweepSummary, point: PointSummary) -> bool:
    """Whether a point is the one that the validation images chose."""
    return summary.best is not None and point.point == summary.best.point


def accuracy(
    point: PointSummary, split: str, corruption: str, severity: int | None = None
) -> Estimate | None:
    """Return a point's accuracy on one kind of images; None if no trial was measured on them.

    Args:
        point: of whose trials to take the mean.
        split: see ``Measurement``.
        corruption: its name, or ``clean``.
        severity: of the corruption; None if there is but one.
    """

    def fits(row: Measurement) -> bool:
        is_severity = severity is None or row.severity == severity
        return row.setting == corruption and is_severity

    found = [next(filter(fits, trial.of(TOP1, split)), None) for trial in point.trials]
    return estimate([[row] for row in found if row is not None])


def intervals(kinds: Iterable[bool], one_seed: str = "binomial over images") -> str:
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
    has_best = any(is_best(summary, point) for point in points)
    is_part = len(points) < len(summary.compared)
    parts = [
        *lines,
        "The best point, chosen on validation images, is bold." if has_best else "",
        f"{len(points)} of {len(summary.compared)} measured points are shown." if is_part else "",
        f"Not measured: {', '.join(unmeasured)}." if unmeasured else "",
    ]
    paragraph = " ".join(filter(None, parts))
    return [*([paragraph] if paragraph else []), *accuracy_marks.caption(summary)]


def margin(summary: SweepSummary, points: Sequence[PointSummary]) -> float:
    """Return the width that the names of rows take, in inches."""
    return 0.15 + LETTER * max((len(name(summary, point)) for point in points), default=0)


def height(points: Sequence[PointSummary]) -> float:
    """Return the height of a panel with a row for each point, in inches."""
    return ROW * max(len(points), 1)


def name_rows(
    axes: Axes, summary: SweepSummary, points: Sequence[PointSummary], is_first: bool
) -> None:
    """Give each point a row, the first at the top, and name the rows of the panel at the left."""
    axes.set_ylim(max(len(points), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(points)), [name(summary, point) for point in points])
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, labelsize=LABEL, labelleft=is_first, pad=3)
    axes.tick_params(axis="x", labelsize=7.5, pad=2)
    for label, point in zip(axes.get_yticklabels(), points, strict=is_first):
        label.set_parse_math(False)
        if is_best(summary, point):
            label.set(color=OURS, fontweight="bold")


def write(axes: Axes, row: int, text: str, bold: bool = False) -> None:
    """Write a number right of a row."""
    axes.text(
        FROM_PANEL, row, text, transform=axes.get_yaxis_transform(), va="center_baseline",
        fontsize=7, fontweight="bold" if bold else "normal", parse_math=False,
    )  # fmt: skip
