"""An evaluation on storage as far as it is: a file for each step, of this very model and code."""

import json
from collections.abc import Mapping
from typing import Any

from gon_core.formats import evaluation_code
from gon_core.measurement import Finding
from sweeps.engine.records import hashed
from sweeps.engine.records.checkpoint import differences
from sweeps.engine.records.storage import Folder

SUFFIX = ".json"


def write(folder: Folder, step: str, finding: Finding, identity: Mapping[str, str]) -> None:
    """Write what a step found.

    Args:
        folder: the trial's, of its evaluation.
        step: its name.
        finding: what to write.
        identity: of the trial and its final model; the file holds it, so that a foreign one can be
            told.
    """
    found = json.loads(finding.model_dump_json())
    content = {"step": step, "of": dict(identity), "code": evaluation_code(), "found": found}
    folder.write(step + SUFFIX, hashed.dump(content))


def names(folder: Folder) -> list[str]:
    """Return the names of the steps that have a file, whole or not."""
    return [name.removesuffix(SUFFIX) for name in folder.names() if name.endswith(SUFFIX)]


def read(folder: Folder, step: str, identity: Mapping[str, str]) -> Finding:
    """Return what a step found.

    Args:
        folder: the trial's, of its evaluation.
        step: its name.
        identity: as for ``write``, or a part of it.

    Raises:
        ValueError: the file is damaged, or of another step, trial, model or code; says what.
        OSError: it cannot be read.
    """
    content = hashed.load(folder.read(step + SUFFIX))
    here: dict[str, Any] = {"step": step, "of": dict(identity), "code": evaluation_code()}
    known = {key: value for key, value in _object(content.get("of")).items() if key in identity}
    there = {"step": content.get("step"), "of": known, "code": content.get("code")}
    if differing := differences(there, here):
        raise ValueError(f"it was written by another evaluation: {'; '.join(differing)}")
    return Finding.model_validate_json(json.dumps(content.get("found")))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
