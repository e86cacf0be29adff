"""The original IDX files: where they are, and whether they are whole. Imports no torch.

MNIST is embedded in this package; Fashion-MNIST and KMNIST are read from torchvision's layout.
"""

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from gon_core import benchmarks

EMBEDDED_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FOLDERS = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}  # torchvision's names


class DataFileError(ValueError):
    """A data file is missing or is not what it should be."""


def raw_folder(dataset: str, data_dir: Path | None) -> Path:
    """Return where the raw files of ``dataset`` are below ``data_dir``.

    Raises:
        ValueError: unknown data set, or no ``data_dir`` where one is needed.
    """
    if dataset not in FOLDERS:
        raise ValueError(f"dataset must be one of {', '.join(benchmarks.names())}, got {dataset!r}")
    if data_dir is None:
        raise ValueError(f"{dataset} is not embedded: it needs a data_dir")
    return Path(data_dir) / FOLDERS[dataset] / "raw"


def read_embedded() -> dict[str, bytes]:
    """Return the embedded MNIST files by name, unpacked, their checksums verified.

    Raises:
        DataFileError: names every file that is missing or damaged.
    """
    contents, problems = {}, []
    for name, expected in EMBEDDED_MD5.items():
        packed = resources.files("gon_core.data").joinpath("mnist", f"{name}.gz")
        try:
            content = gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            problems.append(f"{packed}: cannot be read ({error})")
            continue
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            problems.append(f"{packed}: MD5 is {found}, expected {expected}")
        contents[name] = content
    if problems:
        raise DataFileError("; ".join(problems) + "; reinstall the package")
    return contents


def check(dataset: str, data_dir: Path | None) -> str:
    """Look whether every file of ``dataset`` is there and whole; return the SHA-256 of them all.

    Embedded files are judged by checksum, others by size, by the head of the IDX format and by the
    range of the labels.

    Raises:
        DataFileError: names every file that is missing or damaged.
        ValueError: see ``raw_folder``.
    """
    if dataset == "mnist":
        return _sha256(read_embedded().values())
    folder, problems = raw_folder(dataset, data_dir), []
    benchmark = benchmarks.get(dataset)
    side = benchmark.image_shape[1:]
    for part, count in (("train", benchmark.training_images), ("t10k", benchmark.test_images)):
        labels = folder / f"{part}-labels-idx1-ubyte"
        problems += _fault(folder / f"{part}-images-idx3-ubyte", count, *side)
        problems += _fault(labels, count) or _label_fault(labels, benchmark.classes)
    if problems:
        raise DataFileError("; ".join(problems))
    return _sha256((folder / name).read_bytes() for name in EMBEDDED_MD5)


def _sha256(contents: Iterable[bytes]) -> str:
    sha = hashlib.sha256()
    for content in contents:
        sha.update(content)
    return sha.hexdigest()


def _fault(path: Path, *shape: int) -> list[str]:
    # The head of an IDX file: two zeros, 8 for bytes, the number of axes, then the axes.
    expected = bytes([0, 0, 8, len(shape)]) + b"".join(axis.to_bytes(4) for axis in shape)
    size = len(expected) + math.prod(shape)
    if not path.is_file():
        return [f"{path}: no such file"]
    try:
        with path.open("rb") as file:
            head = file.read(len(expected))
    except OSError as error:
        return [f"{path}: cannot be read ({error.strerror})"]
    if head != expected:
        return [f"{path}: not this IDX file (it begins with {head.hex()}, not {expected.hex()})"]
    if (found := path.stat().st_size) != size:
        return [f"{path}: {found:,} bytes, expected {size:,}"]
    return []


def _label_fault(path: Path, classes: int) -> list[str]:
    highest = max(path.read_bytes()[8:])
    return (
        []
        if highest < classes
        else [f"{path}: labels up to {highest}, expected 0 to {classes - 1}"]
    )
