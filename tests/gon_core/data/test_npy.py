"""Heads of .npy files: right ones, and each way in which a file can be faulty."""

import io
import pickle

import numpy as np
import pytest

from gon_core.data.npy import open_array, read_header


class Armed:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exit, (99,))


def saved(array, version=None):
    """Return an array as the content of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(5, dtype=">i8"),
        np.zeros((2, 28, 28, 1), np.float16),
        np.array(3),
    ],
)
def test_a_whole_file_is_read(tmp_path, array, version):
    path = tmp_path / "a.npy"
    path.write_bytes(saved(array, version))
    assert read_header(path) == (array.shape, array.dtype)
    assert np.array_equal(open_array(path), array)


WHOLE = saved(np.zeros((10, 28, 28), np.uint8))
HUGE = WHOLE.replace(b"(10, 28, 28)", b"(9**9, 2, 2)")
MANY = WHOLE.replace(b"(10, 28, 28), }  ", b"(9999999, 28, 28), }")[: len(WHOLE)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x93NUM", "begins with 934e554d"),
        (pickle.dumps(np.zeros(3)), "a pickle, which is never loaded"),
        (pickle.dumps(Armed(), protocol=0), "a pickle, which is never loaded"),
        (saved(np.array([Armed()])), "Python objects, that is a pickle, which is never loaded"),
        (saved(np.zeros(2, [("a", "u1"), ("b", "O")])), "Python objects"),
        (b"PK\x03\x04 an archive of arrays", "not an .npy file (it begins with 504b0304"),
        (WHOLE[:-1], "7,967 bytes, expected 7,968 for uint8 [10, 28, 28]"),
        (WHOLE[:50], "head is damaged"),
        (WHOLE[:7], "head is damaged"),
        (WHOLE + b"\0", "7,969 bytes, expected 7,968"),
        (MANY, "expected 7,839,99"),
        (HUGE, "head is damaged"),
        (WHOLE.replace(b"'descr'", b"'descx'"), "head is damaged"),
        (WHOLE.replace(b"'|u1'", b"'|q9'"), "head is damaged"),
        (WHOLE.replace(b"{'descr'", b"exit(99)#"), "head is damaged"),
        (WHOLE[:6] + b"\x03" + WHOLE[7:], "version (3, 0), expected (1, 0) or (2, 0)"),
        (WHOLE[:6] + b"\x09" + WHOLE[7:], "version (9, 0)"),
    ],
)
def test_a_faulty_file_is_named_and_no_code_runs(tmp_path, content, message):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    found = read_header(path)
    assert isinstance(found, str) and message in found and "\n" not in found


def test_what_is_no_file_is_named(tmp_path):
    assert read_header(tmp_path / "none.npy") == "no such file"
    assert "cannot be read" in str(read_header(tmp_path))


@pytest.mark.parametrize("position", range(128))
def test_no_damaged_byte_of_the_head_raises(tmp_path, position):
    path = tmp_path / "a.npy"
    content = bytearray(WHOLE)
    content[position] ^= 0x15
    path.write_bytes(content)
    found = read_header(path)
    assert isinstance(found, str) or found.dtype.itemsize * np.prod(found.shape) == 7840
