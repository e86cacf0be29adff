"""Table 11 by our own trials: the noise generator's depth, its size and the accuracies.

The published figures are of another data set, ImageNet-C, and its generators have three channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gon_core.config import ANT
from gon_core.noise import NoiseGenerator
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate, corrupted_rows, estimate
from sweeps.engine.report.tables.points import half_width, markdown_line, markdown_text

CHANNELS = 1  # of every data set that a trial can be trained on
NOISES = ("shot_noise", "impulse_noise")  # MNIST-C's noise category
TITLE = "Table 11: the depth of the noise generator"
OURS = ("parameters", "clean", "mean", "mean without noise")
PUBLISHED = ("parameters, 3 channels", "clean", "ImageNet-C", "without noise")
NOTE = (
    "Ours: MNIST-C, generators for one channel, test accuracy in percent, mean ± half of the 95 % "
    "interval; without noise: without shot_noise and impulse_noise. The paper's: ImageNet-C, "
    "ResNet-50, 1x1 kernels, generators for three channels, one run: another data set, to compare "
    "how accuracy moves with depth, not its level."
)


@dataclass(frozen=True)
class DepthRow:
    """One generator architecture.

    Attributes:
        depth: convolutions, or ``none``.
        kernel_size: of the second one; empty for none.
        ours: text of the columns ``OURS``, empty where nothing was measured.
        published: text of the columns ``PUBLISHED``, empty where the paper has no such row.
    """

    depth: str
    kernel_size: str
    ours: tuple[str, ...]
    published: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """All cells, from the left."""
        return (self.depth, self.kernel_size, *self.ours, *self.published)


def build_rows(summary: SweepSummary) -> tuple[DepthRow, ...]:
    """Return the rows by kernel size and depth; none unless sweep.json asks for Table 11."""
    rows = {row["generator_depth"]: row for row in summary.published.depths}
    if not rows:
        return ()
    own = {
        (method.kernel_size, method.depth): point
        for point in summary.points
        if isinstance(method := point.trials[0].config.method, ANT)
    }
    wanted = sorted(own.keys() | {(1, depth) for depth in rows if depth is not None})
    vanilla = [DepthRow("none", "", ("",) * 4, _published(rows[None]))] if None in rows else []
    return (
        *vanilla,
        *(
            DepthRow(
                str(depth),
                str(kernel),
                _ours(own.get((kernel, depth)), depth, kernel),
                _published(rows.get(depth) if kernel == 1 else None),
            )
            for kernel, depth in wanted
        ),
    )


def _ours(point: PointSummary | None, depth: int, kernel_size: int) -> tuple[str, ...]:
    size = f"{count_parameters(depth, kernel_size):,}"
    if point is None:
        return (size, "", "", "")
    measured = [rows for trial in point.trials if (rows := corrupted_rows(trial))]
    quiet = [[row for row in rows if row.setting not in NOISES] for rows in measured]
    return (size, *map(_text, (point.clean, point.test, estimate(quiet))))


def count_parameters(depth: int, kernel_size: int, channels: int = CHANNELS) -> int:
    """Return how many parameters a noise generator has."""
    generator = NoiseGenerator(channels, depth, kernel_size)
    return sum(parameter.numel() for parameter in generator.parameters())


def _text(accuracy: Estimate | None) -> str:
    return f"{accuracy.mean:.1f} ± {half_width(accuracy)}" if accuracy else ""


def _published(row: dict[str, Any] | None) -> tuple[str, ...]:
    if row is None:
        return ("",) * 4
    size = row["generator_parameters"]
    names = ("clean", "imagenet_c_top1", "without_noise_top1")
    return ("" if size is None else f"{size:,}", *(str(row[name]) for name in names))


def to_markdown(rows: Sequence[DepthRow]) -> list[str]:
    """Return the table's lines in Markdown."""
    columns = ["depth", "kernel_size", *OURS, *(f"paper: {name}" for name in PUBLISHED)]
    return [
        f"## {TITLE}",
        "",
        markdown_line(columns),
        markdown_line(["---:"] * len(columns)),
        *(markdown_line([markdown_text(cell) for cell in row.cells]) for row in rows),
        "",
        markdown_text(NOTE),
        "",
    ]


def to_html(rows: Sequence[DepthRow]) -> str:
    """Return the table as an HTML element."""
    groups = (
        '<tr><th scope="colgroup" colspan="2">generator</th>'
        f'<th scope="colgroup" colspan="{len(OURS)}">ours, MNIST-C</th>'
        f'<th scope="colgroup" colspan="{len(PUBLISHED)}">the paper, ImageNet-C</th></tr>'
    )
    names = ("depth", "kernel size", *OURS, *PUBLISHED)
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "\n".join(map(_html_row, rows))
    return (
        f'<table class="groups">\n<thead>{groups}<tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )


def _html_row(row: DepthRow) -> str:
    cells = "".join(
        f'<td class="number">{escape(cell)}</td>' for cell in (row.kernel_size, *row.ours)
    )
    paper = "".join(f'<td class="number published">{escape(cell)}</td>' for cell in row.published)
    return f'<tr><th scope="row">{escape(row.depth)}</th>{cells}{paper}</tr>'
