"""table.md: the answer, what was cut short, the tables and how to read them."""

from collections.abc import Sequence

from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.tables import generator_depth
from sweeps.engine.report.tables import table as text_tables
from sweeps.engine.report.tables.generator_depth import DepthRow
from sweeps.engine.report.tables.points import Table, markdown_text, to_markdown
from sweeps.engine.report.tables.table import TextTable


def to_document(
    summary: SweepSummary,
    table: Table,
    depths: Sequence[DepthRow],
    answer: Sequence[str],
    further: Sequence[TextTable] = (),
) -> str:
    """Return table.md.

    Args:
        summary: what to tell.
        table: the point x corruption table.
        depths: rows of Table 11, if the sweep has them.
        answer: what was found, in sentences.
        further: tables below.
    """
    cut = sentences.cut_short(summary)
    lines = [f"# {markdown_text(summary.description['title'])}", ""]
    lines += [f"**{markdown_text(cut)}**", ""] if cut else []
    lines += [*(f"{markdown_text(sentence)}  " for sentence in answer), ""]
    lines += generator_depth.to_markdown(depths) if depths else []
    rows = to_markdown(table)
    lines += [*rows, ""] if rows else []
    notes = (sentences.how_trials_ended(summary), sentences.what_was_measured(summary))
    notes += (sentences.INTERVALS,) if table.rows else ()
    lines += [f"{markdown_text(note)}  " for note in notes]
    lines += ["", *text_tables.to_markdown(further)] if further else []
    return "\n".join(lines).rstrip() + "\n"
