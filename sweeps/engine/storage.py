"""A folder on any filesystem that pyarrow knows: where the records are kept."""

import json
import os
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyarrow import fs


@dataclass(frozen=True)
class Folder:
    """A folder on a filesystem; small, picklable, opened when first used.

    Attributes:
        uri: a local path, or a URI such as ``s3://bucket/sweeps``.
    """

    uri: str

    def __post_init__(self) -> None:
        if "://" not in self.uri:  # a worker's working directory is another
            object.__setattr__(self, "uri", str(Path(self.uri).expanduser().absolute()))

    @cached_property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.uri:
            return fs.FileSystem.from_uri(self.uri)
        return fs.LocalFileSystem(), self.uri

    def __getstate__(self) -> dict[str, Any]:
        return {"uri": self.uri}

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.uri.rstrip('/')}/{name}")

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's disks."""
        return isinstance(self._opened[0], fs.LocalFileSystem)

    @property
    def path(self) -> str:
        """The absolute path on the filesystem."""
        return self._opened[1]

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file ``name`` in it, is there."""
        filesystem, root = self._opened
        path = f"{root}/{name}" if name else root
        return filesystem.get_file_info(path).type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Return the names in the folder, sorted; none if there is no such folder."""
        filesystem, root = self._opened
        entries = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return sorted(entry.base_name for entry in entries)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        filesystem, root = self._opened
        with filesystem.open_input_stream(f"{root}/{name}", compression=None) as stream:
            return stream.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all; object stores do that by themselves."""
        filesystem, root = self._opened
        filesystem.create_dir(root, recursive=True)
        if not self.is_local:
            with filesystem.open_output_stream(f"{root}/{name}", compression=None) as stream:
                stream.write(content)
            return
        temporary = Path(root) / f".{name}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            temporary.write_bytes(content)
            temporary.replace(Path(root) / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> None:
        """Write a value as indented JSON."""
        self.write(name, json.dumps(content, indent=1).encode())

    def read_json(self, name: str) -> Any:
        """Return the value of a JSON file."""
        return json.loads(self.read(name))

    def remove(self, name: str) -> None:
        """Remove a file; no error if there is none."""
        filesystem, root = self._opened
        if self.exists(name):
            filesystem.delete_file(f"{root}/{name}")

    def delete(self) -> None:
        """Remove the folder and all in it; no error if there is none."""
        filesystem, root = self._opened
        if self.exists():
            filesystem.delete_dir(root)
