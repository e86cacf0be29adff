"""Checkpoints on storage: whole, unchanged, and of this very trial and code, or passed over."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gon_core.formats import training_code
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError

MANIFEST = "manifest.json"
HISTORY = "history.json"
KEPT_CHECKPOINTS = 2
NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?")


@dataclass(frozen=True)
class Checkpoint:
    """A whole, verified checkpoint.

    Attributes:
        epoch: the epoch after which it was taken.
        files: content by name, as ``gon_core.training.checkpoints`` made it.
        history: the metrics of all epochs so far.
        steps: of the next epoch, where the training was stopped in the middle of it.
    """

    epoch: int
    files: dict[str, bytes]
    history: list[dict[str, float]]
    steps: int = 0

    @property
    def name(self) -> str:
        """Its folder's; names sort by time."""
        return f"epoch-{self.epoch:06d}" + (f"-step-{self.steps:06d}" if self.steps else "")


def write(checkpoints: Folder, checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:
    """Write a checkpoint, its manifest last, then drop all but it and the one before it.

    Those of later epochs are dropped too: they were passed over, or the training would have resumed
    from one of them. One that cannot be written to its end is removed: where the disk is full, the
    rest of it would take the space that the trial's record needs. The manifest holds the trial's
    ``config``, so that a foreign checkpoint is recognised.
    """
    target = checkpoints / checkpoint.name
    files = checkpoint.files | {HISTORY: json.dumps(checkpoint.history).encode()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"config": dict(config), "code": training_code(), "sha256": digests}
    try:
        for name, content in files.items():
            target.write(name, content)
        target.write_json(MANIFEST, manifest)
    except StorageError:
        with contextlib.suppress(StorageError):
            target.delete()
        raise
    with contextlib.suppress(StorageError):  # what cannot be dropped takes up space alone
        there = names(checkpoints)
        kept = [name for name in there if name <= checkpoint.name][-KEPT_CHECKPOINTS:]
        for name in there:
            if name not in kept:
                (checkpoints / name).delete()


def names(checkpoints: Folder) -> list[str]:
    """Return the names of a trial's checkpoints, whole or not, oldest first; no other files'."""
    return [name for name in checkpoints.names() if NAME.fullmatch(name)]


def find(
    checkpoints: Folder,
    config: Mapping[str, Any],
    take: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that a trial of ``config`` can use, and why newer ones cannot.

    ``take`` is called with each that is whole, until it raises no ``ValueError``.
    """
    passed_over = []
    for name in reversed(names(checkpoints)):
        try:
            found = read(checkpoints / name, config)
            take(found)
            return found, passed_over
        except (ValueError, OSError) as error:
            passed_over.append(f"checkpoint {name} passed over: {error}")
    return None, passed_over


def read(folder: Folder, config: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint in ``folder``, for a trial of ``config``.

    Raises:
        ValueError: it is incomplete or damaged, or of another configuration or code; says what.
        OSError: it cannot be read.
    """
    named = NAME.fullmatch(folder.path.rpartition("/")[2])
    assert named is not None, "a folder of that name"
    epoch, steps = int(named[1]), int(named[2] or 0)
    manifest = _manifest(folder)
    for kind, here in (("config", config), ("code", training_code())):
        if differing := differences(manifest.get(kind, {}), here):
            raise ValueError(f"it was written by another {kind}: {'; '.join(differing)}")
    files = {name: read_whole(folder, name, sha) for name, sha in manifest["sha256"].items()}
    return Checkpoint(epoch, files, json.loads(files.pop(HISTORY)), steps)


def _manifest(folder: Folder) -> dict[str, Any]:
    try:
        manifest = folder.read_json(MANIFEST)
    except FileNotFoundError:
        raise ValueError(f"{MANIFEST} is missing: it was not written to its end") from None
    except ValueError as error:
        raise ValueError(f"{MANIFEST} is damaged ({error})") from None
    hashes = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(hashes, dict) or HISTORY not in hashes:
        raise ValueError(f"{MANIFEST} is damaged (it has no SHA-256 of {HISTORY})")
    return manifest


def read_whole(folder: Folder, name: str, digest: str) -> bytes:
    """Return the content of a file, if its SHA-256 is ``digest``.

    Raises:
        ValueError: it is missing or damaged; says which.
    """
    try:
        content = folder.read(name)
    except FileNotFoundError:
        raise ValueError(f"{name} is missing") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{name} is damaged (its SHA-256 is not the recorded one)")
    return content


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """Return where two JSON values differ: ``method.sigma 0.5, here 0.3``."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        found = []
        for key in dict.fromkeys((*there, *here)):
            path = f"{name}.{key}" if name else str(key)
            found += differences(there.get(key), here.get(key), path)
        return found
    return [] if there == here else [f"{name} {there}, here {here}"]
