"""Files on a local disk that appear whole or not at all, whatever kills their process."""

import hashlib
import os
import re
import socket
import time
import uuid
from functools import cache
from pathlib import Path

# A file that is being written, or that a killed process left: .<name>.<pid>.<host><8 hex digits>
UNFINISHED = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.(?P<host>[0-9a-f]{8})?[0-9a-f]{8}")
LEFT_AFTER = 3600.0  # seconds: no write takes that long, wherever its process runs


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
    _clear_left_behind(target)


def temporary_name(name: str) -> str:
    """Return a name under which a file is written before it is renamed."""
    return f".{name}.{os.getpid()}.{_this_host()}{uuid.uuid4().hex[:8]}"


@cache
def _this_host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


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


def _clear_left_behind(target: Path) -> None:
    """Remove what killed processes left of earlier writes of the same file.

    A trial that is resumed writes the same files again, so nothing stays for long.
    """
    with os.scandir(target.parent) as entries:
        for entry in entries:
            found = UNFINISHED.fullmatch(entry.name)
            if found and found["name"] == target.name and _is_left(Path(entry), found):
                Path(entry).unlink(missing_ok=True)


def _is_left(path: Path, found: re.Match[str]) -> bool:
    try:
        if time.time() - path.stat().st_mtime > LEFT_AFTER:
            return True
        if found["host"] != _this_host():  # a shared disk: of its processes we know nothing
            return False
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except (FileNotFoundError, PermissionError, OverflowError):
        return False
    return False
