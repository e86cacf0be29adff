"""``python -m sweeps.engine.tracking replay <sweep folder> [tracking uri]``."""

import argparse
import sys
from collections.abc import Sequence

from sweeps.engine.records import SweepRecords
from sweeps.engine.records.lock import SweepIsRunningError
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.exit_codes import BAD_INPUT, DONE, SOME_FAILED
from sweeps.engine.system.leaving import leave
from sweeps.engine.system.provenance import redact
from sweeps.engine.system.text import plural
from sweeps.engine.tracking.mlflow.replay import BehindError, replay
from sweeps.engine.tracking.mlflow.sqlite_store import store_problem
from sweeps.engine.tracking.mlflow.uris import default_uri, explain, how_to_compare, uri_problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the records of a sweep to MLflow.

    Returns:
        The exit code: 0 done; 1 if MLflow does not accept everything; 2 on bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m sweeps.engine.tracking")
    commands = parser.add_subparsers(dest="command", required=True)
    text = "send the records of a sweep to MLflow; doing it twice changes nothing"
    replaying = commands.add_parser(
        "replay", help=text, description=f"{text.capitalize()}.",
        usage="%(prog)s FOLDER [URI] [--log-models]",
    )  # fmt: skip
    replaying.add_argument("folder", help="of a sweep: a path, or s3://... or gs://...")
    replaying.add_argument("uri", nargs="?", help="MLflow store; default: the sweep's own")
    text = "with their weights, as models that mlflow.pyfunc.load_model opens"
    replaying.add_argument("--log-models", action="store_true", help=f"final models {text}")
    given = parser.parse_args(arguments)
    shown = redact(given.folder)
    try:
        records = SweepRecords(Folder(given.folder))
        description = records.read_sweep()
        if description is None:
            return _stop(f"{shown}: no sweep there (sweep.json is missing)")
        storage = records.folder.parent
        own = default_uri(storage.path if storage.is_local else storage.uri)
        uri = given.uri or description.tracking_uri or own
        if problem := uri_problem(uri) or store_problem(uri):
            return _stop(f"{problem}; give another one behind the folder")
        try:
            count, link = replay(records, uri, given.log_models)
        except BehindError as error:
            where = f"MLflow at {redact(uri)}"
            return _stop(f"{where} lacks a part ({error}): try again later", SOME_FAILED)
    except SweepIsRunningError as error:
        return _stop(f"{shown}: its driver runs, and sends everything to MLflow: {error}")
    except (OSError, ValueError, KeyError, TypeError, StorageError) as error:
        return _stop(f"{shown}: sweep.json cannot be read ({explain(error)})")
    print(f"MLflow holds {plural(count, 'trial')} of sweep {description.name}.")
    print(how_to_compare(uri, link))
    return DONE


def _stop(message: str, code: int = BAD_INPUT) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    leave(main)
