"""Loading: the embedded MNIST, torchvision's layout, a download that fails."""

import http.client

import pytest
import torch
import torchvision

from gon_core.data import idx
from gon_core.data.files import DataFileError

TRAINING_CLASSES = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_CLASSES = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.system
def test_embedded_mnist_is_the_original_set(mnist):
    training, test = mnist
    for part, count in ((training, 60_000), (test, 10_000)):
        assert part.images.shape == (count, 1, 28, 28) and part.images.dtype == torch.uint8
        assert part.labels.shape == (count,) and part.labels.dtype == torch.int64
        assert len(part) == count
    assert training.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert torch.bincount(training.labels).tolist() == TRAINING_CLASSES
    assert torch.bincount(test.labels).tolist() == TEST_CLASSES
    assert training.images.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert training.images.double().std() / 255 == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist"])
def test_torchvision_layout_is_read(dataset, torchvision_layout):
    data_dir, raw = torchvision_layout(dataset)
    with (raw / "t10k-labels-idx1-ubyte").open("r+b") as file:
        file.seek(8)
        file.write(bytes([9, 3]))
    with (raw / "train-images-idx3-ubyte").open("r+b") as file:
        file.seek(16 + 28)
        file.write(bytes([255]))
    training, test = idx.load(dataset, data_dir)
    assert (len(training), len(test)) == (60_000, 10_000)
    assert test.labels[:3].tolist() == [9, 3, 0]
    assert training.images[0, 0, 1, 0] == 255 and training.images[0].sum() == 255
    assert test.images.dtype == torch.uint8 and test.labels.dtype == torch.int64


def test_faulty_files_are_refused_before_they_are_read(torchvision_layout):
    data_dir, raw = torchvision_layout("kmnist")
    (raw / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataFileError, match="train-labels-idx1-ubyte: no such file"):
        idx.load("kmnist", data_dir)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Error downloading train:\nmirror said 503"), "mirror said 503"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset by peer"),
        (http.client.IncompleteRead(b""), "IncompleteRead"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_failed_download_is_a_data_file_error(monkeypatch, tmp_path, error, reason):
    def fail(root, download):
        assert root == str(tmp_path) and download
        raise error

    monkeypatch.setattr(torchvision.datasets, "KMNIST", fail)
    with pytest.raises(DataFileError, match=reason) as caught:
        idx.download("kmnist", tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_mnist_needs_no_download(tmp_path):
    idx.download("mnist", tmp_path)
    assert not list(tmp_path.iterdir())
