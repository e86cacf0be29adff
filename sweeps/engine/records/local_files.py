"""Files on a local disk that appear whole or not at all, whatever kills their process."""

import glob
import os
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8,}")  # being written, or left by a killed process
LEFT_AFTER = 3600.0  # seconds: no write takes that long


def write(target: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it, and rename it."""
    make_folder(target.parent)
    unfinished = target.with_name(temporary_name(target.name))
    try:
        with open(unfinished, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(target.parent)
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LEFT_AFTER:  # a killed process left it
                path.unlink()


def temporary_name(name: str) -> str:
    """Return a name under which a file is written before it is renamed."""
    return f".{name}.{uuid.uuid4().hex[:16]}"


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, synced so that they survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
