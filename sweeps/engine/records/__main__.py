"""``python -m sweeps.engine.records check <sweep folder>``: is every record whole?"""

import argparse
import logging
import sys
from collections import Counter

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
from sweeps.engine.system.text import first_line

STYLES = {"complete": "green", "failed": "red", "broken": "bold red", "running": "cyan"}


def main(arguments: list[str] | None = None) -> int:
    """Check a sweep's records; return 0 if all are whole, 1 if one is not, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.engine.records")
    commands = parser.add_subparsers(dest="command", required=True)
    text = "verify the hashes of every record and say where each trial stands; changes nothing"
    checking = commands.add_parser("check", help=text, description=f"{text}.")
    checking.add_argument("folder", help="of a sweep: a path, or s3://... or gs://...")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # what is damaged stands in the table
    try:
        found = check(SweepRecords(Folder(given.folder)))
    except (OSError, ValueError, StorageError) as error:
        print(f"{redact(given.folder)}: {first_line(error)}", file=sys.stderr)
        return BAD_INPUT
    finally:
        logging.disable(logging.NOTSET)
    show(found, Console(markup=False))
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
    of_trials = [f"{trial.trial_id}: {text}" for trial in found.trials for text in trial.problems]
    for problem in (*of_trials, *found.problems):
        say(problem, "red")
    if found.driver:
        say(f"Run now by {found.driver}.")
    counts = Counter(trial.state for trial in found.trials)
    words = [f"{counts[state]} {state}" for state in STATES if state in counts]
    if found.not_begun:
        words.append(f"{found.not_begun} not begun")
    say(f"{', '.join(words) or 'no trial'}.")
    for state, meaning in STATES.items():
        if state in counts and state != "complete":
            say(f"{state}: {meaning}.", "dim")
    if found.stopped and not found.driver:
        say(f"Stopped by its {found.stopped}.")
    if found.is_whole:
        say("Every hash is right.")


if __name__ == "__main__":
    leave(main)
