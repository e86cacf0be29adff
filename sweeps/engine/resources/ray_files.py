"""What a Ray on this machine keeps in files, for this user alone: its token and temporary folder.

Left to itself Ray writes its token readable for everyone, makes its folders writable for everyone,
shares one folder between all its instances and leaves it behind. Knows no Ray.
"""

import contextlib
import logging
import os
import secrets
import stat
import tempfile
from pathlib import Path

from sweeps.engine.system.temporary_folder import TemporaryFolder

PREFIX = "gon-ray-"
# A socket's path has at most 107 characters (104 on macOS), of which Ray needs 86 below here.
LONGEST_ROOT = 18

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
            "%s, with which Ray runs anything, was readable by other users: it is closed "
            "now. If anyone may have read it, remove it while no Ray runs; a new one is made.", path
        )  # fmt: skip
    else:
        log.warning("%s belongs to another user, who can run anything through our Ray", path)


def has_token() -> bool:
    """Return whether there is a token where Ray looks for one; an empty file is none."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = _token_path()
    return path.is_file() and path.stat().st_size > 0


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


def make_folder() -> TemporaryFolder:
    """Make a folder for one Ray, which opens what it makes in it to everyone; this one is ours."""
    root = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    return TemporaryFolder(PREFIX, root if len(str(root)) <= LONGEST_ROOT else Path("/tmp"))
