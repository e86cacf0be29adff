"""The report of a sweep: every accuracy as Parquet, figures, tables, and a page with all of it.

All of it is made from the records alone, so that it can be made again at any time:
``python -m sweeps.engine.report <sweep folder>``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import sentences
from sweeps.engine.report.charts.catalogue import charts
from sweeps.engine.report.figures.catalogue import (
    Drawing,
    appendix_drawings,
    search_drawings,
)
from sweeps.engine.report.figures.learned_noise import read_portraits
from sweeps.engine.report.figures.style import render
from sweeps.engine.report.pages.exported import TABLE_FORMATS, file_name
from sweeps.engine.report.pages.html import to_page
from sweeps.engine.report.pages.markdown import to_document
from sweeps.engine.report.pages.terminal import to_terminal
from sweeps.engine.report.summary.aggregate import SweepSummary, headline, summarise
from sweeps.engine.report.summary.importance import Importances, measure_importances
from sweeps.engine.report.summary.parquet import render_parquet
from sweeps.engine.report.tables.comparisons import build_comparisons
from sweeps.engine.report.tables.corruption_errors import build_corruption_errors
from sweeps.engine.report.tables.generator_depth import build_generator_depths
from sweeps.engine.report.tables.imagenet import build_imagenet_tables
from sweeps.engine.report.tables.methods import build_methods, is_comparison
from sweeps.engine.report.tables.perturbations import build_perturbations
from sweeps.engine.report.tables.points import build_points, build_trials
from sweeps.engine.report.tables.table import Table
from sweeps.engine.report.tables.training_match import build_training_match
from sweeps.engine.system.text import plural

__all__ = ["Report", "drawings", "export_report", "found", "print_report", "write_report"]


@dataclass(frozen=True)
class Report:
    """A report that was written: what was found, in sentences, and the tables of table.md.

    ``folder`` is the path or URI of the folder it is in, ``figures`` how many there are, ``figure``
    the name of the first, which shows the answer.
    """

    folder: str
    figures: int
    answer: tuple[str, ...]
    summary: SweepSummary
    tables: tuple[Table, ...]
    figure: str = ""

    @property
    def found(self) -> dict[str, str]:
        """What a tracker shows of the whole sweep, as text."""
        return _found(self.summary, self.answer, self.figure)


def _found(summary: SweepSummary, answer: Sequence[str], figure: str) -> dict[str, str]:
    return headline(summary) | {"answer": "\n\n".join(answer), "figure": figure}


def found(records: SweepRecords) -> dict[str, str]:
    """Return what a tracker shows of a whole sweep, as text; nothing is drawn or written.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    summary = summarise(records)
    importances = measure_importances(summary)
    drawing, *_ = search_drawings(summary, importances, {})
    return _found(summary, sentences.answer(summary, importances), drawing.name)


def write_report(records: SweepRecords, output: Folder | None = None) -> Report:
    """Write results.parquet and report/, over what was there.

    Args:
        records: of the sweep.
        output: where to; None for the sweep's folder.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    summary = summarise(records)
    importances = measure_importances(summary)
    answer, tables = sentences.answer(summary, importances), _tables(summary, records)
    contents, pictures = {}, {}
    for drawing in (drawn := drawings(summary, records, importances)):
        contents |= render(drawing.name, drawing.draw)
        if not drawing.is_a_chart:
            pictures[drawing] = contents[f"{drawing.name}.svg"]
    contents["table.md"] = to_document(summary, tables, answer).encode()
    shown = charts(summary, importances)
    page = to_page(summary, (*tables, build_trials(summary)), answer, pictures, shown)
    contents["report.html"] = page.encode()
    output = output or records.folder
    output.write("results.parquet", render_parquet(summary))
    for name, content in contents.items():
        (output / "report").write(name, content)
    return Report(output.uri, len(drawn), tuple(answer), summary, tables, drawn[0].name)


def export_report(
    records: SweepRecords,
    figures: Sequence[str] = (),
    tables: Sequence[str] = (),
    is_bare: bool = False,
    output: Folder | None = None,
) -> tuple[str, ...]:
    """Write figures and tables for a paper or slides; return the names of the files.

    Args:
        records: of the sweep.
        figures: of ``png``, ``svg`` and ``pdf``, with text that can be changed.
        tables: of ``csv`` and ``tex``.
        is_bare: whether figures have neither title nor caption; ``captions.txt`` has what is
            reduced, and what each shows.
        output: where to; None for ``export/`` in the sweep's folder.

    Raises:
        FileNotFoundError: the folder holds no sweep.json.
        ValueError: sweep.json or a result is not what it should be.
    """
    summary = summarise(records)
    contents: dict[str, bytes] = {}
    captions = [sentences.deviations(summary)]
    shown = drawings(summary, records, measure_importances(summary)) if figures else []
    for drawing in shown:
        contents |= render(drawing.name, drawing.draw, figures, is_bare=is_bare, has_paths=False)
        captions.append(f"{drawing.name}: {drawing.caption}")
    if is_bare:
        contents["captions.txt"] = "".join(f"{line}\n" for line in captions if line).encode()
    for table in (*_tables(summary, records), build_trials(summary)):
        for ending in tables:
            contents[f"{file_name(table)}.{ending}"] = TABLE_FORMATS[ending](table).encode()
    for name, content in contents.items():
        (output or records.folder / "export").write(name, content)
    return tuple(contents)


def _tables(summary: SweepSummary, records: SweepRecords) -> tuple[Table, ...]:
    return (
        *build_generator_depths(summary), *build_training_match(summary), *build_methods(summary),
        *build_imagenet_tables(summary), *build_corruption_errors(summary),
        *build_perturbations(summary),
        *build_comparisons(summary, records), build_points(summary),
    )  # fmt: skip


def drawings(
    summary: SweepSummary, records: SweepRecords, importances: Importances
) -> list[Drawing]:
    """Return the figures that the report of a sweep has, in its order."""
    portraits = read_portraits(records, summary)
    return [
        *search_drawings(summary, importances, portraits),
        *appendix_drawings(summary, records),
    ]


def print_report(report: Report, console: Console) -> None:
    """Print the tables for the width of ``console``, what was found and where the report is."""
    # Where methods are compared the last table, of every point, repeats what Table 6 says.
    tables = report.tables[:-1] if is_comparison(report.summary) else report.tables
    console.print(to_terminal(report.summary, tables, report.answer, console.width))
    figures = plural(report.figures, "figure")
    made = f"results.parquet, and report/ with report.html, table.md and {figures}"
    console.print(
        f"In {report.folder}: {made}.", style="dim", soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip
