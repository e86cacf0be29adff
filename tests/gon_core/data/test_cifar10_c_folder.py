"""The published CIFAR-10-C: some of its images by their indices, all of it judged before."""

import numpy as np
import pytest
import torch

from gon_core.benchmarks.cifar10 import CIFAR10
from gon_core.corruptions.photos import CORRUPTIONS
from gon_core.data import cifar10_c_folder
from gon_core.data.files import DataFileError

FEW = 40


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of a set of 40 images; each shows its severity, its number and its corruption."""
    monkeypatch.setattr(cifar10_c_folder, "IMAGES", FEW)
    monkeypatch.setattr(cifar10_c_folder, "ROWS", 5 * FEW)
    np.save(tmp_path / "labels.npy", np.tile((np.arange(FEW) * 7 % 10).astype(np.uint8), 5))
    for number, name in enumerate(CORRUPTIONS):
        images = np.zeros((5 * FEW, 32, 32, 3), np.uint8)
        images[:, 0, 0] = np.stack(
            [np.repeat(np.arange(1, 6), FEW), np.tile(np.arange(FEW), 5), np.full(5 * FEW, number)],
            axis=1,
        )
        np.save(tmp_path / f"{name}.npy", images)
    return tmp_path


def test_images_are_those_of_the_severity_by_their_indices(root):
    assert len(cifar10_c_folder.check(root)) == 64 == len(CIFAR10.check_corrupted(root))
    labels = torch.arange(FEW) * 7 % 10
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))[:20]
    found = CIFAR10.read_corrupted(root, order, CORRUPTIONS)
    assert list(found) == [(name, severity) for name in CORRUPTIONS for severity in range(1, 6)]
    for (name, severity), images in found.items():
        assert torch.equal(images.labels, labels[order])
        assert images.images.shape == (20, 3, 32, 32) and images.images.dtype == torch.uint8
        shown = images.images[:, :, 0, 0].long()
        assert torch.equal(shown[:, 1], order)
        assert (shown[:, 0] == severity).all() and (shown[:, 2] == CORRUPTIONS.index(name)).all()


def test_every_fault_is_named(root):
    (root / "fog.npy").unlink()
    np.save(root / "snow.npy", np.zeros((5 * FEW, 3, 32, 32), np.uint8))
    np.save(root / "contrast.npy", np.zeros((5 * FEW, 32, 32, 3), np.float32))
    (root / "frost.npy").write_bytes((root / "frost.npy").read_bytes()[:-1])
    with pytest.raises(DataFileError) as error:
        cifar10_c_folder.check(root)
    for fault in (
        "fog.npy: no such file", "snow.npy: the shape is [200, 3, 32, 32]",
        "contrast.npy: the type is float32", "frost.npy: 614,",
    ):  # fmt: skip
        assert fault in str(error.value)


@pytest.mark.parametrize("change", ["other labels", "eleven classes"])
def test_labels_that_are_not_five_times_the_same_are_refused(root, change):
    labels = np.load(root / "labels.npy")
    labels[3 if change == "other labels" else slice(3, None, FEW)] = 10
    np.save(root / "labels.npy", labels)
    with pytest.raises(DataFileError, match="must repeat 10,000 labels from 0 to 9 five times"):
        cifar10_c_folder.check(root)


def test_another_seed_of_the_set_has_another_digest(root):
    before = cifar10_c_folder.check(root)
    images = np.load(root / "fog.npy")
    images[3, 5, 5, 1] += 1
    np.save(root / "fog.npy", images)
    assert cifar10_c_folder.check(root) != before


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(DataFileError, match="no such folder"):
        cifar10_c_folder.check(tmp_path / "nothing")
