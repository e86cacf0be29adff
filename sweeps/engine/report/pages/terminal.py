"""The tables in a terminal: corruptions down, points across, in blocks as wide as the window."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import SHORT_STATUS, SweepSummary
from sweeps.engine.report.tables import generator_depth
from sweeps.engine.report.tables import table as text_tables
from sweeps.engine.report.tables.generator_depth import DepthRow
from sweeps.engine.report.tables.methods import is_comparison
from sweeps.engine.report.tables.points import ENDED, Row, Table, best_rows
from sweeps.engine.report.tables.table import TextTable

MOST = 8  # points of a joint search, the best and the Pareto front; table.md has all
MOST_OF_A_GRID = 100  # points of another search; of more than these the best as well


def to_terminal(
    summary: SweepSummary,
    table: Table,
    depths: Sequence[DepthRow],
    answer: Sequence[str],
    further: Sequence[TextTable],
    console: Console,
) -> RenderableType:
    """Return the answer and the tables, laid out for the width of ``console``."""
    cut = sentences.cut_short(summary)
    parts: list[RenderableType] = [Text(str(summary.description["title"]), style="bold")]
    parts += [Text(cut, style="yellow")] if cut else []
    rows = _shown(summary, table)
    has_blocks = not is_comparison(summary)  # whose Table 6 says the same and more
    if has_blocks:
        parts += _blocks(table, rows, console)
    if hidden := len(table.rows) - len(rows):
        parts.append(Text(f"{sentences.plural(hidden, 'further point')} in table.md.", style="dim"))
    if depths:
        parts += [_depths(depths), Text(generator_depth.NOTE, style="dim")]
    parts += [text_tables.to_terminal(further)] if further else []
    halves = (has_blocks and rows) or depths  # tables of half widths
    notes = [sentences.how_trials_ended(summary), *([sentences.INTERVALS] if halves else [])]
    parts.append(Text(" ".join(notes), style="dim"))
    parts += [Text(sentence) for sentence in answer]
    return Group(*parts)


def _shown(summary: SweepSummary, table: Table) -> list[Row]:
    if summary.search != "joint":
        few = len(table.rows) <= MOST_OF_A_GRID
        return list(table.rows if few else best_rows(summary, table, MOST).rows)
    return [row for index, row in enumerate(table.rows) if index < MOST or row.note]


def _blocks(table: Table, rows: list[Row], console: Console) -> list[RichTable]:
    # The widest block that fits, again and again: nothing is ever cut off.
    blocks = []
    while rows:
        count = len(rows)
        while count > 1 and not _fits(_block(table, rows[:count]), console):
            count -= 1
        blocks.append(_block(table, rows[:count]))
        blocks[-1].title = "(continued)" if len(blocks) > 1 else None
        rows = rows[count:]
    return blocks


def _fits(block: RichTable, console: Console) -> bool:
    unbounded = console.options.update(width=10_000)
    return Measurement.get(console, unbounded, block).maximum <= console.width


def _block(table: Table, rows: Sequence[Row]) -> RichTable:
    block = RichTable(
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    block.add_column(Text("\n".join((*table.heads, ""))), no_wrap=True)
    for row in rows:
        note, style = _note(row)
        block.add_column(
            Text("\n".join((*row.values, note))), style=style, justify="right", no_wrap=True
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
    styles = {"published": "italic dim", "best": "bold green", "front": "green"}
    return "paper" if row.note == "published" else row.note, styles.get(row.note, "")


def _depths(rows: Sequence[DepthRow]) -> RichTable:
    # The paper's row under ours: beside each other they would be too wide for many a window.
    table = RichTable(
        title=f"{generator_depth.TITLE}, ours on MNIST-C, the paper's on ImageNet-C",
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    for name in ("depth", "kernel", ""):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for name in generator_depth.OURS:
        table.add_column(
            name.replace("mean without", "mean\nwithout"), justify="right", no_wrap=True
        )
    for row in rows:
        if any(row.ours):
            table.add_row(row.depth, row.kernel_size, "ours", *row.ours)
        if any(row.published):
            cells = (row.depth, row.kernel_size, "paper", *row.published)
            table.add_row(*cells, style="italic dim")
    return table
