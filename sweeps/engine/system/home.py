"""A home folder for the caches and tokens of libraries, also where the user has none."""

import os
import stat
import tempfile
from pathlib import Path


def settle_home() -> None:
    """Give Ray, MLflow, torch and matplotlib a folder that is ours alone, if there is no home.

    Containers run users without a name, or with a home that cannot be written.
    """
    os.environ.setdefault("USER", f"user{os.getuid()}")  # torch asks for a name, which few have
    try:
        home = Path.home()
        is_usable = home.is_dir() and os.access(home, os.W_OK | os.X_OK)
    except RuntimeError:  # a user without an entry
        is_usable = False
    if not is_usable:
        os.environ["HOME"] = str(_private_folder())


def _private_folder() -> Path:
    """Return a folder of this user's alone, the same each time."""
    path = Path(tempfile.gettempdir()) / f"gon-home-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if is_ours and not found.st_mode & 0o077:
            return path
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="gon-home-"))  # somebody else took the name
