"""A folder on any filesystem that pyarrow knows: where the records are kept.

The same holds on a local disk and in an object store:

- A file appears whole or not at all, also when the process is killed or the disk is full.
- What was written before a file is there when the file is: on a local disk each file and its folder
  are synced, so that also after a power cut no manifest names files that are not there. (Syncing
  takes 0.5 ms a file on the developers' machine, of which a checkpoint has five.)
- A name leads to nothing outside its folder, neither by ``..`` nor through a symbolic link.
- No error holds a password; ``uri`` is for showing, ``location`` for opening.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pyarrow import fs

from sweeps.engine.records import local_files, object_store
from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.provenance import redact

T = TypeVar("T")


@dataclass(frozen=True)
class Folder:
    """A folder on a filesystem; small, picklable, opened when first used.

    Every method but ``uri`` and ``/`` may raise ``StorageError``, if the storage cannot be used,
    on a local disk or in an object store, and ``OutsideError``. A file that is missing or damaged
    is neither.

    Attributes:
        location: an absolute path (made of a relative one, or of ``file://...``), or a URI such as
            ``s3://bucket/sweeps?region=eu-central-1``; may hold a password, so it is never shown.
        patience: seconds for which a request to a failing object store is repeated.
    """

    location: str = field(repr=False)
    patience: float = object_store.PATIENCE

    def __post_init__(self) -> None:
        path = self.location
        if path.startswith("file://"):
            path = fs.FileSystem.from_uri(path)[1]
        if "://" not in path:  # a worker's working directory is another
            object.__setattr__(self, "location", os.path.abspath(os.path.expanduser(path)))

    def __repr__(self) -> str:
        return f"Folder({self.uri!r})"

    def __truediv__(self, name: str) -> "Folder":
        """Return a folder in this one."""
        if self.is_local:
            return Folder(self._at(name), self.patience)
        _refuse_outside(name)
        return self._moved(lambda path: f"{path}/{quote(name)}")

    @property
    def parent(self) -> "Folder":
        """The folder that this one is in."""
        if self.is_local:
            return Folder(os.path.dirname(self.location), self.patience)
        return self._moved(lambda path: path.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def _moved(self, move: Callable[[str], str]) -> "Folder":
        """Return a folder with another path in the same object store."""
        parts = urlsplit(self.location)
        moved = parts._replace(path=move(parts.path.rstrip("/")))
        return Folder(urlunsplit(moved), self.patience)

    @property
    def uri(self) -> str:
        """The path or URI, to be shown: without any password, the same whatever the key is."""
        if self.is_local:
            return self.location
        parts = urlsplit(self.location)
        _, at, host = parts.netloc.rpartition("@")
        return redact(urlunsplit(parts._replace(netloc=f"***@{host}" if at else host)))

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's disks."""
        return "://" not in self.location

    @property
    def path(self) -> str:
        """The absolute path on the filesystem."""
        return self.location if self.is_local else object_store.path_of(self.location)

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file ``name`` in it, is there."""
        found = self._ask(lambda files, path: files.get_file_info(path), name or None)
        return found.type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Return the names in the folder, sorted; none if there is no such folder.

        Files that are being written, or that a killed process left unfinished, are not there yet.
        """
        # Of Google's store pyarrow lists a folder only where an object marks it: so list the files.
        deep = object_store.is_google(self.location)

        def find(files: fs.FileSystem, path: str) -> set[str]:
            entries = files.get_file_info(
                fs.FileSelector(path, allow_not_found=True, recursive=deep)
            )
            below = len(path.rstrip("/")) + 1
            return {entry.path[below:].partition("/")[0] for entry in entries} - {""}

        found = self._ask(find)
        return sorted(name for name in found if not local_files.UNFINISHED.fullmatch(name))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is a folder, or a local disk cannot read it.
        """

        def read(files: fs.FileSystem, path: str) -> bytes:
            with files.open_input_file(path) as stream:
                return stream.read()

        try:
            return self._ask(read, name)
        except StorageError as error:
            if not self.is_local:
                raise
            is_folder = Path(self._at(name)).is_dir()
            fault = "is a folder, not a file" if is_folder else f"cannot be read: {error.reason}"
            raise ValueError(f"{name} {fault}") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        if self.is_local:
            path = self._at(name)
            try:
                local_files.write(Path(path), content)
            except OSError as error:  # such as a full disk
                raise StorageError(path, error.strerror or str(error)) from error
            return

        def write(files: fs.FileSystem, path: str) -> None:
            # No `with`: after an error it would end the file, and so publish a part of it.
            stream = files.open_output_stream(path, compression=None)
            stream.write(content)
            stream.close()

        one_request = len(content) <= object_store.ONE_REQUEST_BYTES
        try:
            self._ask(write, name, one_request)
        except FileNotFoundError:  # Google's word for it
            raise StorageError(self.location, "there is no such bucket") from None

    def write_json(self, name: str, content: Any) -> None:
        """Write a value as indented JSON."""
        self.write(name, json.dumps(content, indent=1).encode())

    def read_json(self, name: str) -> Any:
        """Return the value of a JSON file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is no JSON.
        """
        try:
            return json.loads(self.read(name))
        except RecursionError:
            raise ValueError("it is nested beyond all depth") from None

    def remove(self, name: str) -> None:
        """Remove a file; no error if there is none."""
        # Another process may remove it meanwhile, or the answer to a first request may be lost.
        if self.exists(name):
            with contextlib.suppress(FileNotFoundError):
                self._ask(lambda files, path: files.delete_file(path), name)

    def delete(self) -> None:
        """Remove the folder and all in it; no error if there is none."""
        if self.exists():
            with contextlib.suppress(FileNotFoundError):  # as above
                self._ask(lambda files, path: files.delete_dir(path))

    def try_out(self) -> None:
        """Write and remove a small file, as a sweep will."""
        probe = local_files.temporary_name("try-out")
        self.write(probe, b"")
        self.names()
        self.remove(probe)

    def _at(self, name: str) -> str:
        """Return the path of a name in a local folder."""
        _refuse_outside(name)
        parts = name.split("/")
        below = [os.path.join(self.location, *parts[:end]) for end in range(1, len(parts) + 1)]
        path = below[-1]
        # Without a link on the way it leads nowhere else, which is quicker to see.
        if any(map(os.path.islink, below)) and not _is_below(path, self.location):
            raise OutsideError(f"{path} is a symbolic link that leads out of {self.location}")
        return path

    def _ask(
        self,
        do: Callable[[fs.FileSystem, str], T],
        name: str | None = None,
        one_request: bool = False,
    ) -> T:
        """Return what ``do`` makes of the path of a file, or of the folder itself."""
        if not self.is_local:
            asked = self if name is None else self / name
            return object_store.persist(
                lambda: do(object_store.open_store(self.location, one_request), asked.path),
                asked.location,
                self.patience,
            )
        path = self.location if name is None else self._at(name)
        try:
            return do(fs.LocalFileSystem(), path)
        except OSError as error:
            # A file for a folder on the way, or a link to itself: there is no such file.
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise FileNotFoundError(error.errno, error.strerror, path) from None
            raise StorageError(path, error.strerror or object_store.one_line(error)) from error


def _refuse_outside(name: str) -> None:
    if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise OutsideError(f"{name!r} is not a name in a folder")


def _is_below(path: str, root: str) -> bool:
    """Whether a path is below ``root``, wherever its links lead."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
