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
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pyarrow import fs

from sweeps.engine.records import local_files, object_store
from sweeps.engine.system.errors import OutsideError, StorageError
from sweeps.engine.system.provenance import redact

# What reading a file raises where there is none: at once, without asking first whether there is.
NOT_THERE = (FileNotFoundError, NotADirectoryError)

T = TypeVar("T")


@dataclass(frozen=True)
class Folder:
    """A folder on a filesystem; small, picklable, opened when first used.

    Every method but ``uri`` and ``/`` may raise ``StorageError``, if the storage cannot be used,
    on a local disk or in an object store, and ``OutsideError``. A file that is missing or damaged
    is neither.

    Attributes:
        location: a local path, or a URI such as ``s3://bucket/sweeps?region=eu-central-1``; may
            hold a password, so it is never shown.
        patience: seconds for which a request to a failing object store is repeated.
    """

    location: str = field(repr=False)
    patience: float = object_store.PATIENCE

    def __post_init__(self) -> None:
        if "://" in self.location or _is_plain(self.location):
            return
        try:  # a worker's working directory is another
            absolute = str(Path(self.location).expanduser().absolute())
        except RuntimeError as error:  # of ~somebody
            raise OutsideError(f"{self.location}: {error}") from None
        object.__setattr__(self, "location", absolute)

    def __repr__(self) -> str:
        return f"Folder({self.uri!r})"

    def __truediv__(self, name: str) -> "Folder":
        """Return a folder in this one.

        Raises:
            OutsideError: ``name`` leads out of this folder.
        """
        if "://" not in self.location:
            return Folder(self._at(name), self.patience)
        _refuse_outside(name)
        if self.is_local:
            self._at(name)
        parts = urlsplit(self.location)
        path = f"{parts.path.rstrip('/')}/{quote(name)}"
        return Folder(urlunsplit(parts._replace(path=path)), self.patience)

    @property
    def parent(self) -> "Folder":
        """The folder that this one is in."""
        if "://" not in self.location:
            return Folder(str(Path(self.location).parent), self.patience)
        parts = urlsplit(self.location)
        path = parts.path.rstrip("/").rpartition("/")[0]
        return Folder(urlunsplit(parts._replace(path=path)), self.patience)

    @property
    def uri(self) -> str:
        """The path or URI, to be shown: without any password, the same whatever the key is."""
        if "://" not in self.location:
            return self.location
        parts = urlsplit(self.location)
        _, at, host = parts.netloc.rpartition("@")
        return redact(urlunsplit(parts._replace(netloc=f"***@{host}" if at else host)))

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's disks."""
        return "://" not in self.location or self.location.startswith("file://")

    @property
    def path(self) -> str:
        """The absolute path on the filesystem."""
        if "://" not in self.location:
            return self.location
        if self.is_local:
            return fs.FileSystem.from_uri(self.location)[1]
        return object_store.path_of(self.location)

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

        return sorted(
            name for name in self._ask(find) if not local_files.UNFINISHED.fullmatch(name)
        )

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
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link to itself
                raise FileNotFoundError(error.errno, error.strerror, name) from None
            raise
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
        if self.exists(name):
            self._forget(lambda files, path: files.delete_file(path), name)

    def delete(self) -> None:
        """Remove the folder and all in it; no error if there is none."""
        if self.exists():
            self._forget(lambda files, path: files.delete_dir(path))

    def try_out(self) -> None:
        """Write and remove a small file, as a sweep will.

        Raises:
            StorageError: the disk or the store refuses, or is silent; why, in one line.
        """
        probe = local_files.temporary_name("try-out")
        self.write(probe, b"")
        self.names()
        self.remove(probe)

    def _at(self, name: str) -> str:
        """Return the path of a name in a local folder, if it is in there."""
        _refuse_outside(name)
        root = self.path
        path = f"{root.rstrip('/')}/{name}"
        # Without a link on the way it leads nowhere else, which is quicker to see; but none can be
        # seen below a root such as missing/../b, whose first folder is not there yet.
        if ("/.." in root or _has_link(root, name)) and not _is_below(path, root):
            raise OutsideError(f"{path} is a symbolic link that leads out of {root}")
        return path

    def _ask(
        self,
        do: Callable[[fs.FileSystem, str], T],
        name: str | None = None,
        one_request: bool = False,
    ) -> T:
        """Return what ``do`` makes of the path of a file, or of the folder itself."""
        if self.is_local:
            path = self.path if name is None else self._at(name)
            try:
                return do(fs.LocalFileSystem(), path)
            except OSError as error:
                if isinstance(error, NOT_THERE) or error.errno == errno.ELOOP:
                    raise
                raise StorageError(path, error.strerror or object_store.one_line(error)) from error
        place = self if name is None else self / name
        return object_store.persist(
            lambda: do(object_store.open_store(self.location, one_request), place.path),
            place.location,
            self.patience,
        )

    def _forget(
        self, delete: Callable[[fs.FileSystem, str], None], name: str | None = None
    ) -> None:
        # It may be gone: another process removed it, or the answer to the first request was lost.
        with contextlib.suppress(FileNotFoundError):
            self._ask(delete, name)


def _refuse_outside(name: str) -> None:
    if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise OutsideError(f"{name!r} is not a name in a folder")


def _is_plain(path: str) -> bool:
    """Whether a path is absolute and has nothing that would have to be resolved or tidied up."""
    return path.startswith("/") and not re.search(r"//|/\.|/$", path)


def _has_link(root: str, name: str) -> bool:
    """Whether any part of the path of a name below ``root`` is a symbolic link."""
    path = root.rstrip("/")
    for part in name.split("/"):
        path = f"{path}/{part}"
        if os.path.islink(path):
            return True
    return False


def _is_below(path: str, root: str) -> bool:
    """Whether a path leads to a place below ``root``, wherever its links lead."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
