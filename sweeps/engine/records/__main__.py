"""``python -m sweeps.engine.records check <sweep folder>``: is every record whole?"""

import argparse
import logging
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.engine.records.check import STATES, SweepCheck, check
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.sweep import SweepRecords
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.exit_codes import BAD_INPUT, DONE, SOME_FAILED
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.provenance import redact

STYLES = {"complete": "green", "failed": "red", "broken": "bold red", "running": "cyan"}


def main(arguments: list[str] | None = None) -> int:
    """Check a sweep's records; return 0 if all are whole, 1 if one is not, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.engine.records")
    commands = parser.add_subparsers(dest="command", required=True)
    text = "verify the hashes of every record and tell where each trial stands; changes nothing"
    checking = commands.add_parser("check", help=text, description=f"{text}.")
    checking.add_argument("folder", help="of a sweep: a path, or s3://... or gs://...")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # what is damaged stands in the table
    try:
        found = check(SweepRecords(Folder(given.folder)))
    except (OSError, ValueError, StorageError) as error:
        print(f"{redact(given.folder)}: {str(error).splitlines()[0]}", file=sys.stderr)
        return BAD_INPUT
    finally:
        logging.disable(logging.NOTSET)
    show(found, Console())
    return DONE if found.is_whole else SOME_FAILED


def show(found: SweepCheck, console: Console) -> None:
    """Print where each trial stands, and what is damaged."""

    def say(line: str, style: str | None = None) -> None:  # what is recorded may have brackets
        console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    table = Table("trial", "state", "detail")
    for trial in found.trials:
        state = Text(trial.state, STYLES.get(trial.state, ""))
        table.add_row(trial.trial_id, state, Text(trial.detail))
    if found.trials:
        console.print(table)
    for trial in found.trials:
        for problem in trial.problems:
            say(f"{trial.trial_id}: {problem}", "red")
    for problem in found.problems:
        say(problem, "red")
    for driver in found.drivers:
        say(f"Run now by {driver}.")
    counts = [f"{number} {state}" for state in STATES if (number := found.counts[state])]
    if found.not_begun:
        counts.append(f"{found.not_begun} not begun")
    console.print(f"{', '.join(counts) or 'no trial'}.", highlight=False)
    for state, meaning in STATES.items():
        if found.counts[state] and state != "complete":
            console.print(f"{state}: {meaning}.", style="dim", highlight=False)
    if found.stopped and not found.drivers:
        console.print(f"Stopped by its {found.stopped}.", highlight=False)
    if found.unhashed:
        console.print(f"{found.unhashed} results are of an earlier version and hold no hashes.")
    elif found.is_whole:
        console.print("Every hash is right.")


if __name__ == "__main__":
    leave(main)
