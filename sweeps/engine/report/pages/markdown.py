"""table.md: the answer, the deviations from the paper, and the tables with their notes."""

from collections.abc import Sequence
from html import escape
from typing import Any

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.tables.table import Table

EMPHASIS = {"paper": "*", "best": "**"}  # by mark of a row


def to_document(summary: SweepSummary, tables: Sequence[Table], answer: Sequence[str]) -> str:
    """Return table.md: what was found, in sentences, and the tables in their order."""
    reduced = sentences.deviations(summary)
    lines = [f"# {_text(summary.description.title)}", ""]
    lines += [f"**{_text(reduced)}**", ""] if reduced else []
    lines += [f"{_text(sentence)}  " for sentence in answer]
    lines += [f"{_text(sentences.how_trials_ended(summary))}  ", ""]
    for table in tables:
        lines += [f"## {_text(table.title)}", "", *_table(table), _text(table.note), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    rule = ["---:" if column.is_number else "---" for column in table.columns]
    lines = [[_text(column.name) for column in table.columns], rule]
    for row in table.rows:
        mark = EMPHASIS.get(row.mark, "")
        lines.append([f"{mark}{_text(cell)}{mark}" if cell else "" for cell in row.cells])
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def _text(text: Any) -> str:
    # Text of the user is neither a column nor a tag nor a second line.
    return escape(" ".join(str(text).split()), quote=False).replace("|", "\\|").replace("*", "\\*")
