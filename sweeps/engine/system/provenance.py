"""Which code, packages and command made a result, and when."""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

COMMAND = "uv run python"
PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy")

_SCHEME_END = r"(?:://|%3A%2F%2F)"
_NAME = r"[^\s'\"<>:/?#@]"  # a character of a user
_IN_QUERY = r"\?[\w.-]+="  # where the parameters begin, a password has ended
_PASSWORD = re.compile(
    rf"(\bs3)?({_SCHEME_END})({_NAME}*?(?::|%3A))(?:(?!{_IN_QUERY})\S){{0,4096}}(@|%40)",
    re.IGNORECASE,
)
_USER_ALONE = re.compile(rf"(https?{_SCHEME_END})(?:(?!%2F|%3A){_NAME})+(@|%40)", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<![\w.-])([\w.-]+)(=|%3D)((?:(?!%26)[^\s&'\"<>])+)", re.IGNORECASE)
# A percent-encoded & or ? leaves two digits before the name.
_CALLED_SECRET = re.compile(
    r"secret|token|passw|signature|credential|odbc_connect|(api|access|account|private)[_-]?key"
    r"|(^|^26|^3F|[._-])(sig|pwd|auth|sas)$",
    re.IGNORECASE,
)


def code_version() -> dict[str, str | bool]:
    """Return the git commit of this checkout and whether it was changed.

    In an image without git ``GON_GIT_SHA`` names the commit; otherwise it is "unknown".
    """
    folder = Path(__file__).parent
    try:
        sha = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {"git_sha": os.environ.get("GON_GIT_SHA", "unknown"), "dirty": False}
    return {"git_sha": sha, "dirty": dirty}


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | versions


_taken: dict[str, tuple[str, ...]] = {}
_call = ""  # of Python, where no command runs the sweep


def note_command(options: Mapping[str, Sequence[str]]) -> None:
    """Note the options of this process as they were taken: by flag, the words that follow it."""
    _taken.clear()
    add_to_command(options)


def note_call(call: str) -> None:
    """Note the Python that runs a sweep in place of a command; "" when it has run."""
    global _call
    _call = call


def add_to_command(options: Mapping[str, Sequence[str]]) -> None:
    """Note further options, without which the same command would do something else."""
    _taken.update((flag, tuple(words)) for flag, words in options.items())


def repeat_command(changes: Mapping[str, str] | None = None) -> str:
    """Return the command of this process, so that it can be typed again, without any password.

    Each option is there once, as it was taken.

    Args:
        changes: by flag, values that replace those of the command, or are added to it.
    """
    if _call:
        larger = [
            f"{flag[2:].replace('-', '_')}={value}" for flag, value in (changes or {}).items()
        ]
        return f"{_call}  # with {', '.join(larger)}" if larger else _call
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.origin == sys.argv[0]:
        program = ["-m", spec.name.removesuffix(".__main__")]
    else:
        program = [redact(sys.argv[0])]
    options = _taken | {flag: (value,) for flag, value in (changes or {}).items()}
    words = [word for flag, values in options.items() for word in (flag, *values)]
    if not _taken:  # it has not come so far
        words = [*sys.argv[1:], *words]
    words = [redact(word) for word in words]
    return f"{COMMAND} {shlex.join([*program, *words])}"


def changed_command(command: str, changes: Mapping[str, Sequence[str]]) -> str:
    """Return a command with other values of some flags; one without values is left out.

    Python in place of a command stays as it is.
    """
    if command.startswith("Sweep("):
        return command
    words, kept = shlex.split(command), []
    while words:
        word = words.pop(0)
        if word in changes:
            words.pop(0)
        else:
            kept.append(word)
    added = [word for flag, values in changes.items() if values for word in (flag, *values)]
    return shlex.join([*kept, *added])


def redact(text: str) -> str:
    """Return ``text`` with every secret of the URIs in it replaced by ``***``.

    Secrets are the password of ``scheme://user:password@host``, both parts of
    ``s3://key:secret@bucket``, the token of ``https://token@host``, and the values of parameters
    that are named like one: ``access_key``, ``session_token``, ``password``, ``sig``. A password
    may hold ``/``, ``@`` and ``:``, and a URI may be percent-encoded inside another. In doubt too
    much is replaced: up to the last ``@``.
    """
    if "@" in text or "%40" in text:
        text = _PASSWORD.sub(_hide_password, text)
        text = _USER_ALONE.sub(r"\1***\2", text)
    return _PARAMETER.sub(_hide_parameter, text)


def encoding_problem(uri: str) -> str | None:
    """Return which character of a server's or database's URI must be percent-encoded, if any.

    ``redact`` would take it for the end of a password.
    """
    if re.search(r"\s", uri):
        return "must have no blanks; one in a password is %20"
    password = re.match(r"[\w+]+://[^:/]*:([^@]*)@", uri)  # as SQLAlchemy reads it
    if password is not None and "?" in password[1]:
        return "must have no ? in the password; there it is %3F"
    return None


def _hide_password(found: re.Match[str]) -> str:
    s3, scheme_end, user, at = found.groups()
    return f"{s3}{scheme_end}***{at}" if s3 else f"{scheme_end}{user}***{at}"


def _hide_parameter(parameter: re.Match[str]) -> str:
    name, equals, _ = parameter.groups()
    return f"{name}{equals}***" if _CALLED_SECRET.search(name) else parameter[0]


def now() -> str:
    """Return the time of day in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
