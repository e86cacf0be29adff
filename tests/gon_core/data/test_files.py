"""Faulty data files: each is named, all in one message, without torch."""

import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from gon_core.data import files
from gon_core.data.files import DataFileError

NAMES = [f"{p}-{n}-ubyte" for p in ("train", "t10k") for n in ("images-idx3", "labels-idx1")]

DIGEST = "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a"


@pytest.mark.system
def test_checking_needs_no_torch():
    code = (
        "import sys, gon_core.config; from gon_core.data import files; "
        "files.check('mnist', None); "
        "assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Elsewhere:
    """Stands in for ``importlib.resources``: the package's data is at another place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, package: str) -> Path:
        assert package == "gon_core.data"
        return self.root


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a copy of the embedded files, which may be damaged."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in NAMES:
        archive = resources.files("gon_core.data").joinpath("mnist", f"{name}.gz")
        (folder / f"{name}.gz").write_bytes(archive.read_bytes())
    monkeypatch.setattr(files, "resources", Elsewhere(tmp_path))
    yield folder
    shutil.rmtree(tmp_path)  # pytest would keep 11 MB of each test


def flip(path: Path, position: int) -> None:
    """Invert one byte."""
    content = bytearray(path.read_bytes())
    content[position] ^= 255
    path.write_bytes(content)


@pytest.mark.system
def test_whole_embedded_files_pass_and_their_digest_is_pinned(package):
    assert set(files.read_embedded()) == set(NAMES)
    assert files.check("mnist", None) == DIGEST


def test_every_damaged_embedded_file_is_named(package):
    (package / "train-labels-idx1-ubyte.gz").unlink()
    flip(package / "train-images-idx3-ubyte.gz", 5_000)  # breaks the deflate stream
    flip(package / "t10k-images-idx3-ubyte.gz", 0)  # no gzip any more
    cut = package / "t10k-labels-idx1-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[:1000])
    with pytest.raises(DataFileError) as caught:
        files.check("mnist", None)
    assert all(str(package / name) in str(caught.value) for name in NAMES)
    assert str(caught.value).count("cannot be read") == 4


@pytest.mark.system
@pytest.mark.parametrize("position", [11, 2000, -1, -6])
def test_any_flipped_byte_is_found(package, position):
    flip(package / "t10k-labels-idx1-ubyte.gz", position)
    with pytest.raises(DataFileError, match="t10k-labels-idx1-ubyte"):
        files.check("mnist", None)


def test_a_readable_archive_of_other_content_is_found(monkeypatch):
    monkeypatch.setitem(files.EMBEDDED_MD5, "t10k-labels-idx1-ubyte", "0" * 32)
    with pytest.raises(DataFileError, match=r"t10k-labels-idx1-ubyte.gz: MD5 is 27ae3e4e.*0000"):
        files.check("mnist", None)


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist"])
def test_a_whole_layout_passes(dataset, torchvision_layout):
    data_dir, raw = torchvision_layout(dataset)
    digest = files.check(dataset, data_dir)
    with (raw / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([5]))  # one pixel
    assert files.check(dataset, data_dir) != digest


def test_every_faulty_file_is_named_with_its_fault(torchvision_layout):
    data_dir, raw = torchvision_layout("fashion_mnist")
    images, labels, test_images, test_labels = (raw / name for name in NAMES)
    with images.open("r+b") as file:
        file.truncate(1_000_000)
    with labels.open("r+b") as file:
        file.seek(8 + 59_999)
        file.write(bytes([10]))
    flip(test_images, 3)
    test_labels.unlink()
    with pytest.raises(DataFileError) as caught:
        files.check("fashion_mnist", data_dir)
    faults = str(caught.value).split("; ")
    assert faults[0] == f"{images}: 1,000,000 bytes, expected 47,040,016"
    assert faults[1] == f"{labels}: labels up to 10, expected 0 to 9"
    assert faults[2].startswith(f"{test_images}: not this IDX file (it begins with 000008fc")
    assert faults[3] == f"{test_labels}: no such file"
    assert len(faults) == 4


@pytest.mark.parametrize("position", range(16))
def test_every_byte_of_the_head_counts(torchvision_layout, position):
    data_dir, raw = torchvision_layout("kmnist")
    with (raw / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.seek(position)
        file.write(bytes([77]))
    with pytest.raises(DataFileError, match="t10k-images-idx3-ubyte: not this IDX file"):
        files.check("kmnist", data_dir)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [-1, +1])
def test_one_byte_too_few_or_too_many_is_found(torchvision_layout, name, change):
    data_dir, raw = torchvision_layout("kmnist")
    with (raw / name).open("r+b") as file:
        file.truncate((raw / name).stat().st_size + change)
    with pytest.raises(DataFileError, match=rf"{name}: [0-9,]+ bytes, expected"):
        files.check("kmnist", data_dir)


def test_an_empty_folder_names_all_four_files(tmp_path):
    with pytest.raises(DataFileError) as caught:
        files.check("kmnist", tmp_path)
    assert all(f"{tmp_path}/KMNIST/raw/{name}: no such file" in str(caught.value) for name in NAMES)


@pytest.mark.parametrize(
    ("dataset", "rule"),
    [("kmnist", "kmnist is not embedded: it needs a data_dir"), ("cifar", "one of mnist, fash")],
)
def test_bad_arguments_are_refused(dataset, rule):
    with pytest.raises(ValueError, match=rule):
        files.check(dataset, None)
