"""The table point x corruption: its rows, and the same as Markdown and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from gon_core.corruptions.mnist_c import CORRUPTIONS
from search_spaces.parameter import Point
from sweeps.engine.report import sentences
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import CLEAN, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate
from sweeps.engine.report.summary.space import order, value_text

ENDED = "ended"
UNATTAINABLE = "unattainable"
HALF_WIDTH = "95 % ±"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        values: text of the searched parameters' values; in a joint search the point's number first.
        cells: text by column; a column that is absent is empty.
        note: what the row is: ``best``, ``front``, ``baseline``, ``published`` or nothing.
        summary: our trials of the point; None for a published row.
    """

    values: tuple[str, ...]
    cells: dict[str, str]
    note: str = ""
    summary: PointSummary | None = None

    @property
    def heads(self) -> tuple[str, ...]:
        """The cells at the left: the values, with what the row is beside the first."""
        first, *rest = self.values
        return (f"{first} {self.note}".strip(), *rest)


@dataclass(frozen=True)
class Table:
    """Rows ready to be laid out.

    Attributes:
        heads: names of the columns at the left, which say what the row is of.
        columns: the others, summary first, then one per corruption in the paper's order.
        rows: ascending by point, a published one under our own; of a joint search the best first.
            Baselines come last, under their names.
    """

    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def build_table(summary: SweepSummary) -> Table:
    """Return one row per point, and a published row where there is one."""
    joint = summary.search == "joint"
    if joint:
        rows = [_own(summary, point) for point in summary.by_rank]
    else:
        keyed = [(point.point, 0, _own(summary, point)) for point in summary.points]
        keyed += [(p, 1, _published(p, row)) for p, row in summary.published.rows.items()]
        keyed.sort(key=lambda entry: (order(summary.parameters, entry[0]), entry[1]))
        rows = [row for _, _, row in keyed]
    rows += [_baseline(summary, point) for point in summary.baselines]
    number = len(summary.names) > 1
    return Table(
        heads=("#", *summary.labels) if number else summary.labels,
        columns=(*_columns(summary), *summary.corruptions),
        rows=tuple(rows),
    )


def _columns(summary: SweepSummary) -> list[str]:
    curve = ["published"] if summary.published.curve else []
    share = [UNATTAINABLE] if any(p.unattainable is not None for p in summary.points) else []
    return [
        "mean",
        HALF_WIDTH,
        *curve,
        "clean",
        *_validation(summary).values(),
        "seeds",
        *share,
        ENDED,
    ]


def _validation(summary: SweepSummary) -> dict[str, str]:
    """Return the column of each objective."""
    if len(summary.objectives) == 1:
        return {name: "validation" for name in summary.objectives}
    return {name: f"validation {name}" for name in summary.objectives}


def _own(summary: SweepSummary, point: PointSummary) -> Row:
    cells = {
        "mean": percent(point.test and point.test.mean),
        HALF_WIDTH: half_width(point.test),
        "published": percent(summary.published.curve.get(point.point)),
        "clean": percent(point.clean and point.clean.mean),
        "seeds": _seeds(point, len(summary.description["seeds"])),
        UNATTAINABLE: percent(point.unattainable),
        ENDED: sentences.status_counts(point.statuses),
    } | {name: percent(top1) for name, top1 in point.corruptions.items()}
    for name, column in _validation(summary).items():
        if name in point.objectives:
            cells[column] = percent(point.objectives[name].estimate)
    note = "best" if point is summary.best else "front" if point in summary.front else ""
    return Row(_values(point.point, point.turn), cells, note, point)


def _baseline(summary: SweepSummary, point: PointSummary) -> Row:
    further = len(summary.names) if len(summary.names) > 1 else 0  # columns behind the first
    values = (str(point.point[0]), *[""] * further)
    return replace(_own(summary, point), values=values, note="baseline")


def _values(point: Point, turn: int | None) -> tuple[str, ...]:
    texts = tuple(map(value_text, point))
    if len(texts) == 1:
        return texts
    return ("" if turn is None else f"#{turn}", *texts)


def _seeds(point: PointSummary, asked: int) -> str:
    count = point.test.trials if point.test else 0
    return str(count) if point.is_complete else f"{count}/{asked}"


def half_width(estimate: Estimate | None) -> str:
    """Return half of the interval's width, marked where it is not over seeds."""
    if estimate is None:
        return ""
    return f"{estimate.half_width:.1f}" + ("" if estimate.is_over_seeds else "*")


def _published(point: Point, row: dict[str, Any]) -> Row:
    # As many decimals as were printed: whole numbers for single corruptions.
    columns = ("mean", CLEAN, *CORRUPTIONS)
    cells = {name: str(row[name]) for name in columns if row.get(name) is not None}
    return Row(_values(point, None), cells, "published")


def best_rows(summary: SweepSummary, table: Table, most: int) -> Table:
    """Return the table, or of more rows the best ``most``, and those that have a note."""
    if len(table.rows) <= most:
        return table
    best = {point.point for point in summary.by_rank[:most]}
    rows = [r for r in table.rows if r.note or (r.summary and r.summary.point in best)]
    return replace(table, rows=tuple(rows))


def to_markdown(table: Table) -> list[str]:
    """Return the lines of the table in Markdown; none without rows."""
    if not table.rows:
        return []
    lines = [
        markdown_line([*table.heads, *table.columns]),
        markdown_line(["---"] * len(table.heads) + [_alignment(c) for c in table.columns]),
    ]
    return lines + [markdown_line(_markdown_cells(table, row)) for row in table.rows]


def _alignment(column: str) -> str:
    return "---" if column == ENDED else "---:"


def _markdown_cells(table: Table, row: Row) -> list[str]:
    cells = [*row.heads, *(row.cells.get(column, "") for column in table.columns)]
    mark = {"published": "*", "best": "**"}.get(row.note, "")
    return [f"{mark}{markdown_text(cell)}{mark}" if cell else "" for cell in cells]


def markdown_line(cells: Sequence[str]) -> str:
    """Return a line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def markdown_text(text: Any) -> str:
    """Return text of the user such that it is neither a column nor a tag nor a second line."""
    return escape(" ".join(str(text).split()), quote=False).replace("|", "\\|").replace("*", "\\*")


def to_html(table: Table) -> str:
    """Return the table as an HTML element, every cell escaped."""
    heads = "".join(
        html_head(_spaced(head), is_number=index > 0) for index, head in enumerate(table.heads)
    )
    heads += "".join(_html_head(column) for column in table.columns)
    body = "\n".join(_html_row(table, row) for row in table.rows)
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def html_head(text: str, is_number: bool) -> str:
    """Return the head of a column, above its numbers where it has any."""
    kind = ' class="number"' if is_number else ""
    return f'<th scope="col"{kind}>{escape(text)}</th>'


def _html_head(column: str) -> str:
    if column in CORRUPTIONS:
        return f'<th scope="col" class="turned"><span>{escape(_spaced(column))}</span></th>'
    return html_head(_spaced(column), is_number=column != ENDED)


def _html_row(table: Table, row: Row) -> str:
    first, *others = row.heads
    heads = f'<th scope="row">{escape(first)}</th>'
    heads += "".join(f'<td class="value">{escape(text)}</td>' for text in others)
    cells = "".join(
        f'<td class="{"text" if column == ENDED else "number"}">'
        f"{escape(row.cells.get(column, ''))}</td>"
        for column in table.columns
    )
    return f'<tr class="{row.note or "own"}">{heads}{cells}</tr>'
