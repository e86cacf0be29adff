"""The report of a sweep: every accuracy as Parquet, a figure, a table, and a page with all of it.

All of it is made from the records alone, so that it can be made again at any time:
``python -m sweeps.engine.report <sweep folder>``.
"""

from dataclasses import dataclass

from rich.console import Console

from sweeps.engine.records import SweepRecords
from sweeps.engine.report import sentences
from sweeps.engine.report.aggregate import SweepSummary, summarise
from sweeps.engine.report.figures import figure_name, render_figures
from sweeps.engine.report.html import to_page
from sweeps.engine.report.parquet import render_parquet
from sweeps.engine.report.tables import build_table, to_markdown
from sweeps.engine.report.terminal import to_terminal

__all__ = ["Report", "print_report", "write_report"]


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        files: the paths or URIs of its files.
        best: the best value of the parameter; None if no value was measured with all its seeds.
        answer: what was found, in sentences, the most important first.
        summary: the numbers behind it.
    """

    files: tuple[str, ...]
    best: float | None
    answer: tuple[str, ...]
    summary: SweepSummary


def write_report(records: SweepRecords) -> Report:
    """Write results.parquet and report/ into the sweep's folder, over what was there.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    summary = summarise(records)
    table = build_table(summary)
    figures = render_figures(summary)
    page = to_page(summary, table, figures[f"{figure_name(summary)}.svg"])
    records.folder.write("results.parquet", render_parquet(summary))
    contents = figures | {
        "table.md": to_markdown(summary, table).encode(),
        "report.html": page.encode(),
    }
    for name, content in contents.items():
        (records.folder / "report").write(name, content)
    written = ("results.parquet", *(f"report/{name}" for name in contents))
    return Report(
        files=tuple((records.folder / name).uri for name in written),
        best=summary.best.value if summary.best else None,
        answer=tuple(sentences.answer(summary)),
        summary=summary,
    )


def print_report(report: Report, console: Console) -> None:
    """Print the table, for the width of ``console``, what was found and where the files are."""
    console.print(to_terminal(report.summary, build_table(report.summary), console))
    for file in report.files:
        console.print(file, style="dim", soft_wrap=True, markup=False, highlight=False)
