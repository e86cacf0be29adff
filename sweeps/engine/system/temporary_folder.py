"""A temporary folder of which others see whether its process lives, and that does not stay behind.

Its process holds a lock on it for as long as it lives, however it dies.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

YOUNG = 60.0  # seconds: a folder may be about to be locked


class TemporaryFolder:
    """A folder for this user alone, as a context: removed when the block is left.

    Those of the same prefix that killed processes left behind are removed when one is made.

    Attributes:
        path: of the folder, which is in ``root``.
    """

    def __init__(self, prefix: str, root: Path) -> None:
        for folder, made in _folders(prefix, root):
            if time.time() - made >= YOUNG and not is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # another process holds it for a moment at most

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder and all in it; no error if it is gone."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        shutil.rmtree(self.path, ignore_errors=True)


def living(prefix: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this user whose processes live."""
    return (folder for folder, _ in _folders(prefix, root) if is_held(folder))


def is_held(folder: Path) -> bool:
    """Return whether the process that made a ``TemporaryFolder`` lives and has not removed it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or no folder
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _folders(prefix: str, root: Path) -> Iterator[tuple[Path, float]]:
    for path in sorted(root.glob(f"{prefix}*")):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if found.st_uid == os.getuid():
            yield path, found.st_mtime
