"""A table of texts, laid out for Markdown, for a page and for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.report.tables.points import html_head, markdown_line, markdown_text

BETWEEN = 2  # letters between two columns in a terminal


@dataclass(frozen=True)
class TextTable:
    """A title, heads, rows and a note.

    Attributes:
        title: above it.
        heads: of the columns.
        rows: as many texts each.
        note: how to read it, below.
        left: how many columns, from the left, are words and not numbers.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1


def to_markdown(tables: Sequence[TextTable]) -> list[str]:
    """Return the lines of the tables in Markdown."""
    lines = []
    for table in tables:
        rule = ["---"] * table.left + ["---:"] * (len(table.heads) - table.left)
        lines += [f"## {markdown_text(table.title)}", "", _line(table.heads), markdown_line(rule)]
        lines += [*map(_line, table.rows), "", markdown_text(table.note), ""]
    return lines


def _line(cells: Sequence[str]) -> str:
    return markdown_line([markdown_text(cell) for cell in cells])


def to_html(table: TextTable) -> str:
    """Return the table as an HTML element, every cell escaped."""
    heads = "".join(
        html_head(head, is_number=index >= table.left) for index, head in enumerate(table.heads)
    )
    body = "\n".join(_html_row(table, row) for row in table.rows)
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _html_row(table: TextTable, row: Sequence[str]) -> str:
    cells = [f'<th scope="row">{escape(row[0])}</th>']
    cells += [
        f'<td class="{"text" if index < table.left else "number"}">{escape(cell)}</td>'
        for index, cell in enumerate(row[1:], 1)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def in_blocks(
    title: str, rows: Sequence[str], columns: Mapping[str, Sequence[str]], width: int
) -> list[TextTable]:
    """Return one table, or as many as a window needs to show all columns.

    Args:
        title: of each, which says that the later ones continue the first.
        rows: names at the left.
        columns: texts by head, one a row.
        width: letters of the window.
    """
    tables: list[TextTable] = []
    names = list(columns)
    while names:
        room = width - 2 - max(map(len, rows), default=0)
        count = 0
        for name in names:
            room -= BETWEEN + max(len(name), *map(len, columns[name]))
            if room < 0 and count:
                break
            count += 1
        shown, names = names[:count], names[count:]
        lines = zip(rows, *(columns[name] for name in shown), strict=True)
        named = f"{title} (continued)" if tables else title
        tables.append(TextTable(named, ("", *shown), tuple(lines)))
    return tables


def to_terminal(tables: Sequence[TextTable]) -> RenderableType:
    """Return the tables one below the other."""
    parts: list[RenderableType] = []
    for table in tables:
        block = RichTable(
            title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
            pad_edge=False,
        )  # fmt: skip
        for index, head in enumerate(table.heads):
            side = "left" if index < table.left else "right"
            block.add_column(head, justify=side, no_wrap=True)
        for row in table.rows:
            block.add_row(*map(Text, row))
        parts += [block, *([Text(table.note, style="dim")] if table.note else [])]
    return Group(*parts)
