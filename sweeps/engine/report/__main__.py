"""``python -m sweeps.engine.report <sweep folder>``: make the report again, or export it."""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import export_report, print_report, write_report
from sweeps.engine.report.pages.exported import TABLE_FORMATS
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.provenance import redact

FIGURE_FORMATS = ("png", "svg", "pdf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write and print the report, or export its figures and tables.

    Returns:
        The exit code: 0 done; 2 if there is no sweep, or it cannot be read or written.
    """
    given = _parser().parse_args(arguments)
    figures = given.figure_format or (["pdf"] if given.bare else [])
    tables = given.table_format or []
    try:
        records = SweepRecords(Folder(given.folder))
        output = Folder(given.output) if given.output else None
        if figures or tables:
            names = export_report(records, figures, tables, given.bare, output)
            where = output or records.folder / "export"
            print("\n".join(f"{where.uri}/{name}" for name in names))
            return 0
        report = write_report(records, output)
    except (OSError, ValueError, StorageError) as error:
        message = f"{given.folder}: no report could be made: {error}"
        is_read_only = os.path.isdir(given.folder) and not os.access(given.folder, os.W_OK)
        if is_read_only and not given.output:
            message += "; write it elsewhere with --output FOLDER"
        print(redact(" ".join(message.split())), file=sys.stderr)
        return 2
    print_report(report, Console(markup=False))
    print(f"Report: {report.folder}/report/report.html")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sweeps.engine.report",
        usage="%(prog)s FOLDER [OPTION ...]",
        description="Make the report of a sweep again from its records and print its tables; or, "
        "with one of the options below, write figures and tables for a paper into its folder "
        "export/.",
    )
    parser.add_argument("folder", help="folder of the sweep, a local path or s3://... or gs://...")
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
    parser.add_argument("--output", metavar="FOLDER", help="where to; default: the sweep's folder")
    return parser


if __name__ == "__main__":
    leave(main)
