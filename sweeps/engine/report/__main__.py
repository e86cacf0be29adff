"""``python -m sweeps.engine.report <sweep folder>``: make the report again, or export it.

Several folders are compared on one page. ``python -m sweeps.engine.report tables`` prints the
paper's tables on ImageNet.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import export_report, print_report, write_report
from sweeps.engine.report.pages.exported import TABLE_FORMATS
from sweeps.engine.report.pages.terminal import blocks
from sweeps.engine.report.several import compare_sweeps, print_comparison
from sweeps.engine.report.tables.imagenet import PRINTED, listed_numbers, published_tables
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.provenance import redact

TABLES = "tables"  # in place of a folder
FIGURE_FORMATS = ("png", "svg", "pdf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write and print the report, or export its figures and tables.

    Returns:
        The exit code: 0 done; 2 if there is no sweep or table, or it cannot be read or written.
    """
    given = _parser().parse_args(arguments)
    if given.folder == TABLES:
        return print_published(given.more, Console(markup=False, highlight=False))
    figures = given.figure_format or (["pdf"] if given.bare else [])
    tables = given.table_format or []
    if given.more and (figures or tables):
        print("figures and tables are exported of one sweep: give one FOLDER", file=sys.stderr)
        return 2
    try:
        if given.more:
            output = Folder(given.output) if given.output else None
            compared = compare_sweeps([given.folder, *given.more], output)
            print_comparison(compared, Console(markup=False, highlight=False))
            return 0
        records = SweepRecords(Folder(given.folder))
        output = Folder(given.output) if given.output else None
        if figures or tables:
            names = export_report(records, figures, tables, given.bare, output)
            where = output or records.folder / "export"
            print("\n".join(f"{where.uri}/{name}" for name in names))
            return 0
        report = write_report(records, output)
    except (OSError, ValueError, StorageError) as error:
        names = " ".join([given.folder, *given.more])
        message = f"{names}: no report could be made: {error}"
        is_read_only = os.path.isdir(given.folder) and not os.access(given.folder, os.W_OK)
        if is_read_only and not given.output:
            message += "; write it elsewhere with --output FOLDER"
        print(redact(" ".join(message.split())), file=sys.stderr)
        return 2
    print_report(report, Console(markup=False))
    print(f"Report: {report.folder}/report/report.html")
    return 0


def print_published(given: Sequence[str], console: Console) -> int:
    """Print the paper's tables on ImageNet, and the command that fills each row; see ``main``."""
    unknown = [number for number in given if number not in map(str, PRINTED)]
    if unknown:
        rule = f"must be a table on ImageNet: {listed_numbers()}"
        print(f"tables: {rule}, given: {' '.join(unknown)}", file=sys.stderr)
        return 2
    for table, ways in published_tables(list(map(int, given)) or list(PRINTED)):
        for block in blocks(table, console.width):
            console.print(block)
        console.print(Text(table.note, style="dim"))
        console.print(Text("To fill its rows:", style="bold"))
        for way in ways:
            console.print(way, soft_wrap=True)
        console.print()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.engine.report",
        usage="%(prog)s FOLDER ... [OPTION ...] | tables [NUMBER ...]",
        description="Make the report of a sweep again from its records and print its tables; or, "
        "with one of the options below, write figures and tables for a paper into its folder "
        "export/. Several folders are compared on one page, against the first. With the word "
        "tables: print the paper's tables on ImageNet, and which command "
        "fills each of their rows.",
    )
    parser.add_argument("folder", help="folder of the sweep, a local path or s3://... or gs://...")
    parser.add_argument(
        "more",
        nargs="*",
        metavar="FOLDER or NUMBER",
        help=f"further sweeps; or of the tables to print: {listed_numbers()}; default: all",
    )
    parser.add_argument(
        "--figure-format", nargs="+", choices=FIGURE_FORMATS, metavar="FORMAT",
        help="export every figure as png, svg or pdf; the text in it can be changed",
    )  # fmt: skip
    parser.add_argument(
        "--bare", action="store_true",
        help="export figures without title and caption; as pdf, unless --figure-format is given",
    )  # fmt: skip
    parser.add_argument(
        "--table-format", nargs="+", choices=TABLE_FORMATS, metavar="FORMAT",
        help="export every table as csv or tex (LaTeX, with booktabs and graphicx)",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="FOLDER",
        help="where to; default: the sweep's folder, of several sweeps comparison/ here",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    leave(main)
