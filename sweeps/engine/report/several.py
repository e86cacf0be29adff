"""Several sweeps on one page: ``python -m sweeps.engine.report FOLDER FOLDER ...``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report.charts.several import several_charts
from sweeps.engine.report.pages.html import several_page
from sweeps.engine.report.pages.terminal import blocks
from sweeps.engine.report.summary.aggregate import SweepSummary, summarise
from sweeps.engine.report.tables.several import several_tables
from sweeps.engine.report.tables.table import Table

PAGE = "comparison.html"
OUTPUT = "comparison"  # below the working directory


@dataclass(frozen=True)
class Comparison:
    """A page that was written, and the tables on it."""

    page: str
    tables: tuple[Table, ...]


def compare_sweeps(folders: Sequence[str], output: Folder | None = None) -> Comparison:
    """Write a page with several sweeps, all against the first.

    Args:
        folders: of the sweeps.
        output: where to; None for ``comparison/`` in the working directory.

    Raises:
        FileNotFoundError: a folder holds no sweep.json.
        ValueError: a record is not what it should be; or the sweeps cannot be compared: one is
            given twice, or they are tested under different corruptions.
    """
    found = []
    for folder in folders:
        records = SweepRecords(Folder(folder))
        summary = summarise(records)
        # A copied folder has the name of what it is a copy of.
        description = summary.description.model_copy(update={"name": records.folder.name})
        found.append(replace(summary, description=description))
    summaries = _named_apart(folders, found)
    _refuse_unlike(folders, summaries)
    tables = several_tables(summaries)
    page = several_page(summaries, tables, several_charts(summaries))
    place = output or Folder(OUTPUT)
    place.write(PAGE, page.encode())
    return Comparison(f"{place.uri}/{PAGE}", tables)


def _named_apart(
    folders: Sequence[str], summaries: Sequence[SweepSummary]
) -> tuple[SweepSummary, ...]:
    """Return the summaries under different names: where two are alike, by their folders."""
    names = [summary.description.name for summary in summaries]
    return tuple(
        summary if names.count(name) == 1 else
        replace(summary, description=summary.description.model_copy(update={"name": folder}))
        for folder, name, summary in zip(folders, names, summaries, strict=True)
    )  # fmt: skip


def _refuse_unlike(folders: Sequence[str], summaries: Sequence[SweepSummary]) -> None:
    if len({Folder(folder).uri for folder in folders}) < len(folders):
        raise ValueError("a sweep is given twice")
    first, *others = summaries
    for other in others:
        if (other.suite.title, other.suite.corruptions) != (
            first.suite.title, first.suite.corruptions,
        ):  # fmt: skip
            raise ValueError(
                f"they are tested under different corruptions: {first.description.name} under "
                f"{_corruptions(first)}, {other.description.name} under {_corruptions(other)}"
            )
    if not any(summary.measured for summary in summaries):
        raise ValueError("no trial of any of them has been measured yet")


def _corruptions(summary: SweepSummary) -> str:
    return f"{len(summary.suite.corruptions)} of {summary.suite.title}"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the tables, and where the page is."""
    for table in comparison.tables:
        for block in blocks(table, console.width):
            console.print(block)
        console.print(Text(table.note, style="dim"))
    console.print(f"Page: {comparison.page}", soft_wrap=True, markup=False, highlight=False)
