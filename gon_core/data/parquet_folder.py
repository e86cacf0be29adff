"""A folder of Parquet shards at any address, and what they say without their images."""

import contextlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int64
from pyarrow import fs, parquet

from gon_core.data.files import DataFileError

PARTS = {"training": ("train-",), "test": ("validation-", "val-")}  # what the files begin with
FOOTER_END = 8  # bytes of a shard behind its footer: the length of it, and a magic number

Numbers = Int64[np.ndarray, " image"]


def is_sharded(uri: str) -> bool:
    """Whether a folder holds shards, or can be nothing else as it is no local path."""
    if "://" in uri:
        return True
    try:
        return any(name.endswith(".parquet") for name in os.listdir(uri))
    except OSError:
        return False


def as_uri(path: Path | str) -> str:
    """Return a path as text; of an address that became a path the lost slash is put back."""
    return re.sub(r"^([a-z][a-z0-9+.-]+):/(?!/)", r"\1://", str(path))


def shown(uri: str) -> str:
    """Return an address without its key and parameters."""
    return re.sub(r"//[^/@]*@", "//***@", uri.partition("?")[0])


def open_folder(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of an address, and the path there.

    Raises:
        DataFileError: there is no such filesystem.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri).absolute())
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataFileError(f"{shown(uri)}: cannot be opened ({reason(error)})") from error
    return filesystem, path.rstrip("/")


def total_bytes(uri: str) -> int:
    """Return the bytes of all shards at an address, which each machine copies once."""
    filesystem, root = open_folder(uri)
    return sum(sum(part.values()) for part in shard_sizes(filesystem, root, uri).values())


def shard_sizes(filesystem: fs.FileSystem, root: str, uri: str) -> dict[str, dict[str, int]]:
    """Return the size of each shard in bytes, by part and by name, in the order of the names.

    Raises:
        DataFileError: it is no folder that can be read.
    """
    try:
        entries = filesystem.get_file_info(fs.FileSelector(root))
    except (OSError, pa.ArrowException) as error:
        rule = f"cannot be read as a folder ({reason(error)})"
        raise DataFileError(f"{shown(uri)}: {rule}") from error
    found = {e.base_name: e.size for e in entries if e.extension == "parquet"}
    return {
        part: {name: found[name] for name in sorted(found) if name.startswith(beginnings)}
        for part, beginnings in PARTS.items()
    }


def read_labels(filesystem: fs.FileSystem, path: str) -> tuple[tuple[str, ...], Numbers]:
    """Return the names of the classes, if a shard says them, and the labels in it.

    Raises:
        OSError, ValueError, KeyError, ArrowException: it cannot be read, or is no such shard.
    """
    with filesystem.open_input_file(path) as content:
        file = parquet.ParquetFile(content)
        kind = file.schema_arrow.field("image").type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise ValueError("the column image has no bytes")
        _refuse_lost_bytes(file.metadata, content.size())
        labels = file.read(columns=["label"])["label"].cast(pa.int64()).to_numpy()
        return _class_names(file.schema_arrow.metadata or {}), labels


def _refuse_lost_bytes(footer: parquet.FileMetaData, size: int) -> None:
    """Raise ValueError if a column would end behind what is before the footer: bytes are missing.

    Bytes that were overwritten are found when the images are copied.
    """
    end = size - footer.serialized_size - FOOTER_END
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for chunk in map(group.column, range(group.num_columns)):
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            if start + chunk.total_compressed_size > end:
                raise ValueError(
                    f"{chunk.path_in_schema} of row group {number} is truncated: bytes are missing"
                )


def _class_names(metadata: dict[bytes, bytes]) -> tuple[str, ...]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(map(str, features["label"]["names"]))
    return ()


def reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())[:150] or type(error).__name__
