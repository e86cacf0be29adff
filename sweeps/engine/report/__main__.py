"""Make the report of a sweep again from its records and print its table."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.report import print_report, write_report
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.provenance import redact


def main(arguments: Sequence[str] | None = None) -> int:
    """Write and print the report.

    Returns:
        The exit code: 0 done; 2 if there is no sweep, or it cannot be read or written.
    """
    parser = argparse.ArgumentParser(prog="python -m sweeps.engine.report", description=__doc__)
    parser.add_argument("folder", help="folder of the sweep, a local path or s3://... or gs://...")
    folder = parser.parse_args(arguments).folder
    try:
        report = write_report(SweepRecords(Folder(folder)))
    except (OSError, ValueError, StorageError) as error:
        message = f"{folder}: no report could be made: {error}"
        print(redact(" ".join(message.split())), file=sys.stderr)
        return 2
    print_report(report, Console(markup=False))
    print(f"Report: {report.folder}/report/report.html")
    return 0


if __name__ == "__main__":
    leave(main)
