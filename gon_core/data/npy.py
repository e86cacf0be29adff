"""The head of an .npy file, judged before anything of the array is read. Imports no torch."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAGIC = b"\x93NUMPY"
PICKLES = (b"\x80", b"c", b"(")  # what pickles of protocol 2 and later, or 0 and 1, begin with


class Header(NamedTuple):
    """What the head of an .npy file promises."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_header(path: Path) -> Header | str:
    """Return the head of an .npy file, or what is wrong with the file.

    An array of Python objects is a pickle, which could run code: it is refused. So is a file that
    is longer or shorter than its head says.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                hint = ", perhaps a pickle, which is never loaded" * start.startswith(PICKLES)
                return f"not an .npy file (it begins with {start.hex() or 'nothing'}{hint})"
            file.seek(0)
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                return f"an .npy file of version {version}, expected (1, 0) or (2, 0)"
            one, two = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
            shape, _, dtype = (one if version == (1, 0) else two)(file)
            begin = file.tell()
        size = path.stat().st_size
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    # What numpy's parser of the head raises on damaged ones is not documented.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"its .npy head is damaged ({reason[:120]})"
    if dtype.hasobject:
        return "it holds Python objects, that is a pickle, which is never loaded"
    expected = begin + math.prod(shape) * dtype.itemsize
    if size != expected:
        return f"{size:,} bytes, expected {expected:,} for {dtype} {list(shape)}"
    return Header(shape, dtype)


def open_array(path: Path) -> np.ndarray:
    """Map an .npy file that ``read_header`` found right; its pages are read as they are used."""
    return np.load(path, mmap_mode="r", allow_pickle=False)
