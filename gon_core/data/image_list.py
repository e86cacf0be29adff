"""A list of test images, one path below ``val`` a line, such as a fixed part of ImageNet's."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gon_core.data.corruption_folders import refuse
from gon_core.data.files import DataFileError
from gon_core.names import nearest

CLASS = re.compile(r"_n\d{8}$")
LONGEST, MOST_BYTES = 80, 2**26  # characters of a line that are shown, and bytes of a file


def read(path: Path) -> tuple[str, ...]:
    """Return the paths in a list, in its order; empty lines are left out.

    Raises:
        DataFileError: it is no text or names no image, or an image twice; names them all, the first
            20 in full.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataFileError(f"{path}: is no list of images, it has over {MOST_BYTES:,} bytes")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise DataFileError(f"{path}: cannot be read ({reason})") from error
    found = tuple(line.strip() for line in lines if line.strip())
    if not found:
        raise DataFileError(f"{path}: names no image")
    times = Counter(found)
    refuse([f"{path}: {_shown(name)} stands {n} times" for name, n in times.items() if n > 1])
    return found


def digest(paths: Sequence[str]) -> str:
    """Return the SHA-256 of a list: in another order it is another one."""
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()


def find(paths: Sequence[str], names: Sequence[str], source: str) -> list[int]:
    """Return the number of the image that each path names.

    Args:
        paths: of a list.
        names: by number, the path of each image below ``val``; or its name alone, as shards have
            it: then neither folders nor kinds of file matter, nor a class after a name, as in
            ``ILSVRC2012_val_00000293_n01440764.JPEG``.
        source: where the list comes from, for errors.

    Raises:
        DataFileError: a path is not among the names; names them all, the first 20 in full.
    """
    has_folders = any("/" in name for name in names)
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        numbers.setdefault(name if has_folders else _stem(name), []).append(number)
    keys = [path if has_folders else _stem(path) for path in paths]
    faults, is_first = [], True
    for key in keys:
        if (count := len(numbers.get(key, ()))) > 1:
            faults.append(f"{source}: {_shown(key)} is the name of {count} images")
        elif not count:
            hint = (
                f", nearest is {nearest(key, numbers)}" if is_first else ""
            )  # which takes a while
            faults.append(f"{source}: no image {_shown(key)}{hint}")
            is_first = False
    refuse(faults)
    return [numbers[key][0] for key in keys]


def below(paths: Sequence[str], folder: str = "val") -> list[str]:
    """Return the paths of images below a folder of theirs; others as they are."""
    return [path.removeprefix(f"{folder}/") for path in paths]


def _stem(path: str) -> str:
    """Return the name of an image alone, without the class that Hugging Face puts behind it."""
    return CLASS.sub("", PurePosixPath(path).stem)


def _shown(name: str) -> str:
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
