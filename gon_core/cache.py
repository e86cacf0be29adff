"""What can be made again, and is kept on this machine: copies of shards, compiled kernels."""

import os
import tempfile
from pathlib import Path

VARIABLE = "GON_CACHE_DIR"
COMPILER = "TORCHINDUCTOR_CACHE_DIR"
FUSION = "GON_FUSION"
KERNELS = ("auto", "fused", "eager")


def folder() -> Path:
    """Return what ``GON_CACHE_DIR`` names, by default ``~/.cache/game-of-noise``; it may not exist.

    A relative path is one of this process's working folder.
    """
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "game-of-noise").absolute()


def kernels() -> str:
    """Return which kernels of the epsilon sphere ``GON_FUSION`` asks for, by default ``auto``.

    Raises:
        ValueError: it asks for none of ``KERNELS``.
    """
    choice = os.environ.get(FUSION, "auto")
    if choice not in KERNELS:
        raise ValueError(f"must be {', '.join(KERNELS[:-1])} or {KERNELS[-1]}, given: {choice}")
    return choice


def keep_kernels() -> None:
    """Let torch's compiler keep its kernels in ``folder()``; to be called before it compiles.

    What it finds there it runs as code. Its own choice is a folder of a known name in ``/tmp``,
    which another user of the machine could make first; torch puts that name into the environment
    when it is imported. Any other in ``TORCHINDUCTOR_CACHE_DIR`` is the user's choice and stays.
    Where the folder cannot be written, the kernels are this process's alone.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(COMPILER) in (None, "", default_cache_dir()):
        os.environ[COMPILER] = str(_kernels() or tempfile.mkdtemp(prefix="gon-kernels-"))


def _kernels() -> Path | None:
    """Return the folder for kernels, made if there is none; None if it is not ours alone."""
    try:
        kernels = folder() / "kernels"
        kernels.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = kernels.stat()
    except (OSError, RuntimeError):  # no home is a RuntimeError
        return None
    is_ours = found.st_uid == os.getuid() and not found.st_mode & 0o022
    return kernels if is_ours and os.access(kernels, os.W_OK | os.X_OK) else None
