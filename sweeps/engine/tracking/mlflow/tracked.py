"""``tracked.json`` in a sweep's folder: MLflow holds all of it.

It saves a finished sweep the seconds of importing MLflow and reading its runs, and nothing else.
"""

import contextlib
from typing import Any

from sweeps.engine.records import SweepRecords
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.uris import sqlite_path

TRACKED = "tracked.json"


def is_tracked(records: SweepRecords, uri: str) -> bool:
    """Whether the store at ``uri`` was sent every trial of now, and is still there."""
    path = sqlite_path(uri)
    with contextlib.suppress(OSError, ValueError, StorageError):
        is_there = path is None or path.exists()
        return is_there and records.folder.read_json(TRACKED) == _state(records, uri)
    return False


def write_tracked(records: SweepRecords, uri: str) -> None:
    """Note that the store at ``uri`` holds everything."""
    with contextlib.suppress(StorageError):  # full or not ours: see above
        records.folder.write_json(TRACKED, _state(records, uri))


def forget_tracked(records: SweepRecords) -> None:
    """Note that there is something to send."""
    with contextlib.suppress(StorageError):
        records.folder.remove(TRACKED)


def _state(records: SweepRecords, uri: str) -> dict[str, Any]:
    return {"tracking_uri": redact(uri), "trials": len(records.names())}
