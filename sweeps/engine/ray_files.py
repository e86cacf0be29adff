"""What a Ray on this machine keeps in files, for this user alone: its token and temporary folder.

Left to itself Ray writes its token readable for everyone, makes its folders writable for everyone,
shares one folder between all its instances and leaves it behind. Knows no Ray.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Self

PREFIX = "gon-ray-"
# A socket's path has at most 107 characters (104 on macOS), of which Ray needs 86 below here.
LONGEST_ROOT = 18
YOUNG = 60.0  # seconds: a folder may be about to be locked

log = logging.getLogger(__name__)


def ensure_token() -> None:
    """See to it that there is a token, and that no other user may read it.

    It is where Ray looks: in ``RAY_AUTH_TOKEN``, the file ``RAY_AUTH_TOKEN_PATH`` or
    ``~/.ray/auth_token``. A file of ours that is too open is closed, with a warning.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = _token_path()
    if not path.exists():
        _make_token(path)
    found = path.stat()
    if not stat.S_IMODE(found.st_mode) & 0o077:
        return
    if found.st_uid == os.getuid():
        path.chmod(0o600)
        log.warning(
            "%s, with which Ray can be told to run anything, was open to other users: it is closed "
            "now. If anyone may have read it, remove it while no Ray runs; a new one is made.", path
        )  # fmt: skip
    else:
        log.warning("%s belongs to another user, who can tell our Ray to run anything", path)


def has_token() -> bool:
    """Return whether there is a token where Ray looks for one."""
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or _token_path().exists()


def _token_path() -> Path:
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent)  # its mode is 0600
    try:
        with open(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):  # of a sweep that starts at the same moment
            os.link(unfinished, path)  # unlike a rename it does not replace
    finally:
        os.unlink(unfinished)


class TemporaryFolder:
    """A folder of its own for one Ray, as a context: removed when the block is left.

    Those that killed processes left behind are removed when the next one is made.

    Attributes:
        path: for Ray; Ray opens it to everyone, the folder around it is ours alone.
        scratch: for Ray Tune.
    """

    def __init__(self) -> None:
        root = _root()
        _remove_abandoned(root)
        self._outer = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._lock = os.open(self._outer, os.O_RDONLY)  # held as long as this process lives
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path, self.scratch = self._outer / "r", self._outer / "t"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder and all in it; what is removed already is no error."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        shutil.rmtree(self._outer, ignore_errors=True)


def _root() -> Path:
    root = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    return root if len(str(root)) <= LONGEST_ROOT else Path("/tmp")


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < YOUNG:
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # gone meanwhile, or no folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # its process lives
        finally:
            os.close(descriptor)
