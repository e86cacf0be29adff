"""The table in a terminal: corruptions down, values across, in blocks as wide as the window."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.report import sentences
from sweeps.engine.report.aggregate import SHORT_STATUS, SweepSummary
from sweeps.engine.report.sentences import number
from sweeps.engine.report.tables import ENDED, Row, Table


def to_terminal(summary: SweepSummary, table: Table, console: Console) -> RenderableType:
    """Return the answer and the table, laid out for the width of ``console``."""
    cut = sentences.cut_short(summary)
    parts: list[RenderableType] = [Text(str(summary.description["title"]), style="bold")]
    parts += [Text(cut, style="yellow")] if cut else []
    parts += _blocks(table, console)
    parts.append(Text(f"{sentences.how_trials_ended(summary)} {sentences.INTERVALS}", style="dim"))
    parts += [Text(sentence) for sentence in sentences.answer(summary)]
    return Group(*parts)


def _blocks(table: Table, console: Console) -> list[RichTable]:
    # The widest block that fits, again and again: nothing is ever cut off.
    blocks, rows = [], list(table.rows)
    while rows:
        count = len(rows)
        while count > 1 and not _fits(_block(table, rows[:count]), console):
            count -= 1
        blocks.append(_block(table, rows[:count]))
        rows = rows[count:]
    return blocks


def _fits(block: RichTable, console: Console) -> bool:
    unbounded = console.options.update(width=10_000)
    return Measurement.get(console, unbounded, block).maximum <= console.width


def _block(table: Table, rows: Sequence[Row]) -> RichTable:
    block = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    block.add_column(Text(table.head), no_wrap=True)
    for row in rows:
        note, style = _note(row)
        block.add_column(
            Text(f"{number(row.value)}\n{note}"), style=style, justify="right", no_wrap=True
        )
    for column in table.columns:
        if column == ENDED:
            for status, word in SHORT_STATUS.items():
                counts = [row.summary.statuses[status] if row.summary else 0 for row in rows]
                if any(counts):
                    block.add_row(f"trials {word}", *(str(n) if n else "" for n in counts))
            block.add_section()
        else:
            block.add_row(column, *(row.cells.get(column, "") for row in rows))
    return block


def _note(row: Row) -> tuple[str, str]:
    if row.summary is None:
        return "paper", "italic dim"
    return ("best", "bold green") if row.is_best else ("", "")
