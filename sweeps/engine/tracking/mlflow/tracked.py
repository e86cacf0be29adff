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


def is_tracked(records: SweepRecords, uri: str, logs_models: bool = False) -> bool:
    """Whether the store at ``uri`` was sent every trial of now, and is still there."""
    return tracked_link(records, uri, logs_models) is not None


def tracked_link(records: SweepRecords, uri: str, logs_models: bool = False) -> str | None:
    """Return the link to the comparison in a store that was sent all; None where one was not."""
    path = sqlite_path(uri)
    with contextlib.suppress(OSError, ValueError, KeyError, AttributeError, StorageError):
        is_there = path is None or path.exists()
        found = records.folder.read_json(TRACKED)
        now = _state(records, uri)
        if is_there and now == {key: found.get(key) for key in now}:
            return found["link"] if found["models"] or not logs_models else None
    return None


def write_tracked(
    records: SweepRecords, uri: str, link: str = "", logs_models: bool = False
) -> None:
    """Note that the store at ``uri`` holds everything, and where its comparison is seen."""
    with contextlib.suppress(StorageError):  # full or not ours: see above
        state = _state(records, uri) | {"link": link, "models": logs_models}
        records.folder.write_json(TRACKED, state)


def forget_tracked(records: SweepRecords) -> None:
    """Note that there is something to send."""
    with contextlib.suppress(StorageError):
        records.folder.remove(TRACKED)


def _state(records: SweepRecords, uri: str) -> dict[str, Any]:
    return {"tracking_uri": redact(uri), "trials": len(records.names())}
