"""Files that are numbered in their order, ``000001.json`` first; any other file is none of them."""

import re

from sweeps.engine.records.storage import Folder

NAME = re.compile(r"(\d{6})\.json")


def names(folder: Folder) -> list[str]:
    """Return the names of the files, in their order."""
    return [name for name in folder.names() if NAME.fullmatch(name)]


def next_name(folder: Folder) -> str:
    """Return the name of the file that comes after all that are there."""
    last = names(folder)[-1:]
    return f"{int(last[0].removesuffix('.json')) + 1 if last else 1:06d}.json"
