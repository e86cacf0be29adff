"""Which code, packages and command made a result, and when."""

import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy")


def code_version() -> dict[str, str | bool]:
    """Return the git commit of this checkout and whether it was changed; "unknown" outside git."""
    folder = Path(__file__).parent
    try:
        sha = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {"git_sha": "unknown", "dirty": False}
    return {"git_sha": sha, "dirty": dirty}


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | versions


def repeat_command() -> str:
    """Return what was typed, as it can be typed again, without any password."""
    return shlex.join(["uv", "run", "python", *(redact(word) for word in sys.argv)])


def redact(uri: str) -> str:
    """Return ``uri`` with a password replaced by ***."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", uri)


def now() -> str:
    """Return the time of day in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
