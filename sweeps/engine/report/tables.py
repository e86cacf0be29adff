"""The table value x corruption: its rows, and the same as Markdown and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gon_core.corruptions.mnist_c import CORRUPTIONS
from sweeps.engine.report import sentences
from sweeps.engine.report.aggregate import CLEAN, Estimate, SweepSummary, ValueSummary
from sweeps.engine.report.sentences import number, percent

ENDED = "ended"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        value: of the parameter.
        cells: text by column; a column that is absent is empty.
        summary: our trials of the value; None for a published row.
        is_best: whether it is the best value.
    """

    value: float
    cells: dict[str, str]
    summary: ValueSummary | None = None
    is_best: bool = False

    @property
    def label(self) -> str:
        """The value and what the row is."""
        if self.summary is None:
            return f"{number(self.value)} published"
        return f"{number(self.value)} best" if self.is_best else number(self.value)


@dataclass(frozen=True)
class Table:
    """Rows ready to be laid out.

    Attributes:
        head: name of the first column, which holds the rows' labels.
        columns: the others, summary first, then one per corruption in the paper's order.
        rows: ascending by value, a published one under our own.
    """

    head: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def build_table(summary: SweepSummary) -> Table:
    """Return one row per value, and a published row where there is one."""
    published = [Row(value, _published(row)) for value, row in summary.published.rows.items()]
    own = [_own(summary, value) for value in summary.values]
    curve = ("published",) if summary.published.curve else ()
    return Table(
        head=summary.parameter,
        columns=("mean", "±", *curve, "clean", "validation", "seeds", ENDED, *CORRUPTIONS),
        rows=tuple(sorted(own + published, key=lambda row: (row.value, row.summary is None))),
    )


def _own(summary: SweepSummary, value: ValueSummary) -> Row:
    cells = {
        "mean": percent(value.test and value.test.mean),
        "±": half_width(value.test),
        "published": percent(summary.published.curve.get(value.value)),
        "clean": percent(value.clean and value.clean.mean),
        "validation": percent(value.objective and value.objective.estimate),
        "seeds": _seeds(value, len(summary.description["seeds"])),
        ENDED: sentences.status_counts(value.statuses),
    } | {name: percent(top1) for name, top1 in value.corruptions.items()}
    return Row(value.value, cells, value, is_best=value is summary.best)


def _seeds(value: ValueSummary, asked: int) -> str:
    count = value.test.trials if value.test else 0
    return str(count) if value.is_complete else f"{count}/{asked}"


def half_width(estimate: Estimate | None) -> str:
    """Return half of the interval's width, marked where it is not over seeds."""
    if estimate is None:
        return ""
    return f"{estimate.half_width:.1f}" + ("" if estimate.is_over_seeds else "*")


def _published(row: dict[str, Any]) -> dict[str, str]:
    # As many decimals as were printed: whole numbers for single corruptions.
    columns = ("mean", CLEAN, *CORRUPTIONS)
    return {name: str(row[name]) for name in columns if row.get(name) is not None}


def to_markdown(summary: SweepSummary, table: Table) -> str:
    """Return table.md: the answer, what was cut short, the table and how to read it."""
    cut = sentences.cut_short(summary)
    lines = [f"# {_plain(summary.description['title'])}", ""]
    lines += [f"**{_plain(cut)}**", ""] if cut else []
    lines += [*(f"{_plain(sentence)}  " for sentence in sentences.answer(summary)), ""]
    if table.rows:
        heads = [table.head, *table.columns]
        lines.append(_line(heads))
        lines.append(_line(["---", *("---:" if c != ENDED else "---" for c in table.columns)]))
        lines += [_line(_markdown_cells(table, row)) for row in table.rows]
        lines.append("")
    notes = (sentences.how_trials_ended(summary), sentences.what_was_measured(summary))
    lines += [f"{_plain(note)}  " for note in (*notes, sentences.INTERVALS)]
    return "\n".join(lines) + "\n"


def _markdown_cells(table: Table, row: Row) -> list[str]:
    cells = [row.label, *(row.cells.get(column, "") for column in table.columns)]
    mark = "*" if row.summary is None else "**" if row.is_best else ""
    return [f"{mark}{_plain(cell)}{mark}" if cell else "" for cell in cells]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: Any) -> str:
    # Text of the user is neither a column nor a tag nor a second line.
    return escape(" ".join(str(text).split()), quote=False).replace("|", "\\|").replace("*", "\\*")


def to_html(table: Table) -> str:
    """Return the table as an HTML element, every cell escaped."""
    heads = "".join(_html_head(column) for column in table.columns)
    body = "\n".join(_html_row(table, row) for row in table.rows)
    head = f'<th scope="col">{escape(table.head)}</th>'
    return f"<table>\n<thead><tr>{head}{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _html_head(column: str) -> str:
    text = escape(column.replace("_", " "))
    kind = ' class="turned"' if column in CORRUPTIONS else ""
    return f'<th scope="col"{kind}><span>{text}</span></th>'


def _html_row(table: Table, row: Row) -> str:
    kind = "published" if row.summary is None else "best" if row.is_best else "own"
    cells = "".join(
        f'<td class="{"text" if column == ENDED else "number"}">'
        f"{escape(row.cells.get(column, ''))}</td>"
        for column in table.columns
    )
    return f'<tr class="{kind}"><th scope="row">{escape(row.label)}</th>{cells}</tr>'
