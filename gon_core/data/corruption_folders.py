"""A folder with one folder per corruption: whether they are the right ones. Imports no torch."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from gon_core.data.files import DataFileError
from gon_core.names import nearest

MOST_FAULTS = 20  # of a damaged set of thousands of folders


def check_names(corruptions: Sequence[str], known: Collection[str]) -> None:
    """Refuse an empty choice of corruptions and unknown names, all in one ValueError."""
    if not corruptions:
        raise ValueError(f"corruptions must be some of {', '.join(known)}, got none")
    faults = [
        f"no corruption {name!r}, nearest is {nearest(name, known)}"
        for name in corruptions
        if name not in known
    ]
    if faults:
        raise ValueError("; ".join(faults))


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in ``folder``, sorted, without hidden ones.

    Raises:
        DataFileError: it is not there, no folder, or cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise DataFileError(f"{folder}: cannot be read as a folder ({error.strerror})") from error


def folder_faults(root: Path, wanted: Sequence[str], known: Collection[str]) -> list[str]:
    """Return a line for every corruption folder that is missing and every one that is unknown.

    Args:
        root: the folder of the set.
        wanted: the corruptions that must be there.
        known: all that may be there.

    Raises:
        DataFileError: see ``subfolders``.
    """
    found = subfolders(root)
    faults = [
        f"{root / name}: no such corruption, nearest is {nearest(name, known)}"
        for name in found
        if name not in known
    ]
    return faults + [f"{root / name}: no such folder" for name in wanted if name not in found]


def refuse(faults: Sequence[str]) -> None:
    """Raise one DataFileError that names the faults, if there are any; the first 20 in full."""
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise DataFileError("; ".join([*faults[:MOST_FAULTS], *more]))
