"""The tables in a terminal: as they are where they fit, else turned and in blocks that do."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.tables.table import Row, Table
from sweeps.engine.system.text import plural

MOST = 8  # points of a joint search, the best and the Pareto front; table.md has all
MOST_OF_A_GRID = 100  # points of another search; of more than these the best as well
BETWEEN = 2  # letters between two columns
LOOK: dict[str, Any] = {
    "title_justify": "left", "box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False,
}  # fmt: skip
STYLES = {"paper": "italic dim", "best": "bold green", "front": "green"}  # by mark of a row


def to_terminal(
    summary: SweepSummary, tables: Sequence[Table], answer: Sequence[str], width: int
) -> RenderableType:
    """Return the tables in their order and the answer; ``width`` letters cut nothing off."""
    reduced = sentences.deviations(summary)
    parts: list[RenderableType] = [Text(summary.description.title, style="bold")]
    parts += [Text(reduced, style="yellow")] if reduced else []
    many = summary.search == "joint" or len(summary.points) > MOST_OF_A_GRID
    for table in tables:
        shown = table.fewer(MOST if many else MOST_OF_A_GRID)
        shown = replace(shown, rows=tuple(r for r in shown.rows if r.mark != "paper only"))
        parts += blocks(shown, width) if shown.rows else []
        if hidden := len(table.rows) - len(shown.rows):
            rest = f"{plural(hidden, 'further row')} in table.md."
            parts.append(Text(rest, style="dim"))
        parts.append(Text(table.note, style="dim"))
    parts.append(Text(sentences.how_trials_ended(summary), style="dim"))
    parts += [Text(sentence) for sentence in answer]
    return Group(*parts)


def blocks(table: Table, width: int) -> Iterator[RichTable]:
    """Yield a table as it is if it fits into ``width`` letters, else turned, in blocks that do."""
    heads = [column.name for column in table.columns]
    if _width([*zip(heads, *(row.cells for row in table.rows), strict=True)]) <= width:
        yield _upright(table)
        return
    # The widest block that fits, again and again.
    rows, title = table.rows, table.title
    while rows:
        count = 1
        while count < len(rows) and _width(_transposed_texts(table, rows[: count + 1])) <= width:
            count += 1
        yield _transposed(table, rows[:count], title)
        rows, title = rows[count:], f"{table.title} (continued)"


def _width(columns: Sequence[Sequence[str]]) -> int:
    texts = ("\n".join(column).split("\n") for column in columns)
    return sum(max(map(len, lines)) + BETWEEN for lines in texts)


def _upright(table: Table) -> RichTable:
    block = RichTable(title=table.title, **LOOK)
    for column in table.columns:
        side = "right" if column.is_number else "left"
        block.add_column(Text(column.name), justify=side, no_wrap=True)
    for row in table.rows:
        block.add_row(*map(Text, row.cells), style=STYLES.get(row.mark))
    return block


def _transposed(table: Table, rows: Sequence[Row], title: str) -> RichTable:
    block = RichTable(title=title, **LOOK)
    names, *others = _transposed_texts(table, rows)
    block.add_column(Text(names[0]), no_wrap=True)
    for row, texts in zip(rows, others, strict=True):
        style = STYLES.get(row.mark, "")
        block.add_column(Text(texts[0]), style=style, justify="right", no_wrap=True)
    columns, is_detail = table.columns[table.heads :], False
    for column, *line in zip(columns, *(texts[1:] for texts in others), strict=True):
        if column.is_vertical and not is_detail:
            block.add_section()
        is_detail = column.is_vertical
        if any(line):
            block.add_row(column.name, *map(Text, line))
    return block


def _transposed_texts(table: Table, rows: Sequence[Row]) -> list[list[str]]:
    """Return the columns of a table on its side, each with its head first."""
    heads, columns = table.columns[: table.heads], table.columns[table.heads :]
    names = ["\n".join(column.name for column in heads), *(column.name for column in columns)]
    texts = [["\n".join(row.cells[: table.heads]), *row.cells[table.heads :]] for row in rows]
    return [names, *texts]
