"""``tracked.json`` in a sweep's folder: MLflow holds all of it.

It saves a finished sweep the seconds of importing MLflow and asking it; without the file they are
spent, and nothing else changes.
"""

import contextlib
import hashlib
from typing import Any

from sweeps.engine.records import SweepRecords, TrialRecords
from sweeps.engine.records.storage import NOT_THERE
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.provenance import redact
from sweeps.engine.tracking.mlflow.uris import sqlite_path

TRACKED, RESULT = "tracked.json", "result.json"


def is_tracked(records: SweepRecords, uri: str) -> bool:
    """Whether the store at ``uri`` holds everything that is recorded now, and is still there."""
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return False
    with contextlib.suppress(OSError, ValueError, StorageError):
        if records.folder.exists(TRACKED):
            return records.folder.read_json(TRACKED) == _state(records, uri)
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
    names, digest = records.names(), hashlib.sha256()
    for name, content in records.ask_each(_result, names):
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return {"tracking_uri": redact(uri), "trials": len(names), "sha256": digest.hexdigest()}


def _result(trial: TrialRecords) -> bytes:
    try:
        return trial.folder.read(RESULT)
    except NOT_THERE:
        return b""
