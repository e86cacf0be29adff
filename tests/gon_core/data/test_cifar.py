"""CIFAR-10's files are taken apart without loading a pickle."""

import pickle

import numpy as np
import pytest

from gon_core.data import cifar, cifar_png
from gon_core.data.files import DataFileError


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (cifar.IMAGES, 3072), np.uint8)
    return {"batch_label": "1 of 5", "labels": rng.integers(0, 10, cifar.IMAGES).tolist(),
            "data": pixels, "filenames": ["x.png"] * cifar.IMAGES}  # fmt: skip


# The files that torchvision downloads have the first.
@pytest.mark.parametrize("protocol", [pytest.param(2, marks=pytest.mark.system), 3, 5])
@pytest.mark.parametrize("are_bytes", [True, False])
def test_images_and_labels_are_found_in_every_kind_of_pickle(batch, protocol, are_bytes):
    given = {name.encode(): value for name, value in batch.items()} if are_bytes else batch
    images, labels = cifar.parse(pickle.dumps(given, protocol=protocol))
    assert np.array_equal(images.reshape(cifar.IMAGES, -1), batch["data"])
    assert labels.tolist() == batch["labels"]


def test_no_code_in_a_file_is_run(tmp_path):
    target = tmp_path / "ran"
    content = b"cos\nsystem\n(S'touch " + str(target).encode() + b"'\ntR."
    with pytest.raises(ValueError, match="is no batch of CIFAR-10"):
        cifar.parse(content)
    assert not target.exists()


@pytest.mark.system
def test_every_faulty_file_is_named(batch, tmp_path):
    folder = tmp_path / cifar.FOLDER
    folder.mkdir()
    whole = pickle.dumps(batch, protocol=2)
    (folder / "data_batch_1").write_bytes(whole)
    (folder / "data_batch_2").write_bytes(whole[:1000])
    with pytest.raises(DataFileError) as caught:
        cifar.check(tmp_path)
    message = str(caught.value)
    assert "data_batch_1: its images or labels are not those of CIFAR-10" in message
    assert "data_batch_2: is damaged" in message or "data_batch_2: is no batch" in message
    assert all(f"{name}: cannot be read" in message for name in list(cifar.DIGESTS)[2:])
    with pytest.raises(DataFileError, match="test_batch"):
        cifar.load(tmp_path)


def test_a_folder_without_the_data_set_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(DataFileError) as caught:
            cifar.check(place)
        assert str(caught.value) == (
            f"{place} has no folder cifar-10-batches-py, as torchvision downloads it"
        )


def test_converting_what_is_not_there_writes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert cifar_png.main([str(tmp_path), str(out)]) == 2
    error = capsys.readouterr().err
    for name in cifar_png.LABELS.values():
        assert error.count(f"{name}: cannot be read (No such file or directory)") == 1
    assert not out.exists()
