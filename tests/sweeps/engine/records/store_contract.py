"""What every object store must do; the tests of each store ask it of their own."""

import pickle

import pytest

from sweeps.engine.records.object_store import ONE_REQUEST_BYTES
from sweeps.engine.records.storage import Folder

LARGE = bytes(range(256)) * (ONE_REQUEST_BYTES * 3 // 256)  # written in several parts


def check_a_file(folder: Folder, content: bytes) -> None:
    """Assert that a file of an empty folder comes back as written, and is replaced and removed."""
    folder.write("file", content)
    assert folder.read("file") == content and folder.names() == ["file"]
    assert pickle.loads(pickle.dumps(folder)).read("file") == content
    folder.write("file", b"new")
    assert folder.read("file") == b"new"
    folder.remove("file")
    folder.remove("file")
    assert not folder.exists("file")
    with pytest.raises(FileNotFoundError):
        folder.read("file")
