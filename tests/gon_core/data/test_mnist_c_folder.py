"""MNIST-C on disk: what is whole is read, every fault is named in one message."""

import numpy as np
import pytest
import torch

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data import mnist_c_folder
from gon_core.data.files import DataFileError

COUNT = 5
FOLDERS = ("identity", *CORRUPTIONS)
LABELS = np.array([7, 2, 1, 0, 9])


def pixels(index, channel=()):
    """Return the images of the ``index``-th folder."""
    random = np.random.default_rng(index)
    return random.integers(0, 256, (COUNT, 28, 28, *channel), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    """A small set as published."""
    for index, name in enumerate(FOLDERS):
        (tmp_path / name).mkdir()
        for part in ("train", "test"):
            shift = 100 * (part == "train")
            np.save(tmp_path / name / f"{part}_images.npy", pixels(index + shift, (1,)))
            np.save(tmp_path / name / f"{part}_labels.npy", LABELS)
    return tmp_path


@pytest.mark.parametrize(("part", "shift"), [("test", 0), ("train", 100)])
def test_a_whole_set_is_read(root, part, shift):
    found = mnist_c_folder.load(root, part)
    assert list(found) == ["clean", *CORRUPTIONS]
    for index, data in enumerate(found.values()):
        assert data.images.dtype == torch.uint8 and data.labels.dtype == torch.int64
        assert np.array_equal(data.images[:, 0].numpy(), pixels(index + shift))
        assert data.labels.tolist() == LABELS.tolist()


def test_the_channel_may_be_left_out_and_some_corruptions_be_asked_for(root):
    np.save(root / "fog" / "test_images.npy", pixels(3))
    (root / "zigzag" / "test_images.npy").unlink()
    (root / ".cache").mkdir()
    (root / "readme.txt").write_text("not a folder")
    found = mnist_c_folder.load(root, "test", ["fog"])
    assert list(found) == ["clean", "fog"]
    assert np.array_equal(found["fog"].images[:, 0].numpy(), pixels(3))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f8"])
def test_floats_in_the_unit_interval_are_converted_back_to_eight_bits(root, dtype, monkeypatch):
    monkeypatch.setattr(mnist_c_folder, "BLOCK", 2)
    np.save(
        root / "fog" / "test_images.npy", np.asfortranarray(pixels(3, (1,)) / 255).astype(dtype)
    )
    found = mnist_c_folder.load(root, "test", ["fog"])["fog"]
    assert np.array_equal(found.images[:, 0].numpy(), pixels(3))


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i4", ">i8", "u8"])
def test_labels_may_be_any_integers(root, dtype):
    for name in FOLDERS:
        np.save(root / name / "test_labels.npy", LABELS.astype(dtype))
    assert mnist_c_folder.load(root)["scale"].labels.tolist() == LABELS.tolist()


def floats(value, index=0):
    """Return images of floats, one pixel of which has this value."""
    images = np.zeros((COUNT, 28, 28), np.float32)
    images[index, 3, 4] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (floats(1.5), "values from 0 to 1.5, expected 0 to 1 for float32"),
        (floats(-0.25, 4), "values from -0.25 to 0, expected 0 to 1"),
        (floats(255.0, 3), "values from 0 to 255"),
        (floats(np.nan, 1), "values from nan to nan"),
        (floats(np.inf), "values from 0 to inf"),
        (np.zeros((COUNT, 28, 28), np.int64), "the type is int64, expected uint8"),
        (np.zeros((COUNT, 28, 28), bool), "the type is bool"),
        (np.zeros((COUNT, 28, 28), complex), "the type is complex128"),
        (np.zeros((COUNT, 28, 28), "S1"), "the type is |S1"),
        (np.zeros((COUNT, 28, 28), [("a", "u1")]), "the type is [('a', 'u1')]"),
        (
            np.zeros((COUNT, 28, 28, 3), np.uint8),
            "the shape is [5, 28, 28, 3], expected [n, 28, 28]",
        ),
        (np.zeros((COUNT, 32, 32), np.uint8), "the shape is [5, 32, 32]"),
        (np.zeros((COUNT, 784), np.uint8), "the shape is [5, 784]"),
        (np.zeros((0, 28, 28), np.uint8), "the shape is [0, 28, 28]"),
        (np.array(0, np.uint8), "the shape is []"),
        (np.zeros((4, 28, 28), np.uint8), "4 images but 5 labels"),
        (np.array([[None]]), "a pickle, which is never loaded"),
    ],
)
def test_faulty_images_are_refused(root, images, message, monkeypatch):
    monkeypatch.setattr(mnist_c_folder, "BLOCK", 2)
    path = root / "fog" / "test_images.npy"
    np.save(path, images)
    with pytest.raises(DataFileError) as caught:
        mnist_c_folder.load(root)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert ";" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([7, 2, 1, 0, 10]), "labels from 0 to 10, expected 0 to 9"),
        (np.array([7, 2, -1, 0, 9]), "labels from -1 to 9"),
        (np.array([7, 2, 1, 9, 0]), "other labels than those of identity"),
        (LABELS[:4], "5 images but 4 labels"),
        (LABELS[:0], "5 images but 0 labels"),
        (LABELS.astype(float), "the type is float64, expected integers"),
        (LABELS.reshape(5, 1), "the shape is [5, 1], expected [n]"),
        (np.eye(10, dtype=np.uint8), "the shape is [10, 10]"),
        (np.array([str(label) for label in LABELS]), "the type is <U1"),
        (LABELS.astype(object), "a pickle, which is never loaded"),
    ],
)
def test_faulty_labels_are_refused(root, labels, message):
    np.save(root / "stripe" / "test_labels.npy", labels)
    with pytest.raises(DataFileError) as caught:
        mnist_c_folder.load(root)
    assert message in str(caught.value) and str(root / "stripe") in str(caught.value)


def test_all_faults_are_named_at_once_before_anything_is_loaded(root, monkeypatch):
    (root / "fog").rename(root / "fogg")
    (root / "glass_blur").rename(root / "glasblur")
    (root / "scale" / "test_images.npy").unlink()
    cut = root / "shear" / "test_images.npy"
    cut.write_bytes(cut.read_bytes()[:2000])
    np.save(root / "rotate" / "test_labels.npy", np.full(COUNT, 11))
    np.save(root / "zigzag" / "test_images.npy", floats(2))
    monkeypatch.setattr(mnist_c_folder, "_read", None)
    with pytest.raises(DataFileError) as caught:
        mnist_c_folder.load(root)
    message = str(caught.value)
    for expected in (
        f"{root / 'fogg'}: no such corruption, nearest is 'fog'",
        f"{root / 'glasblur'}: no such corruption, nearest is 'glass_blur'",
        f"{root / 'fog'}: no such folder",
        f"{root / 'glass_blur'}: no such folder",
        f"{root / 'scale' / 'test_images.npy'}: no such file",
        f"{cut}: 2,000 bytes, expected 4,048",
        f"{root / 'rotate' / 'test_labels.npy'}: labels from 11 to 11",
        f"{root / 'zigzag' / 'test_images.npy'}: values from 0 to 2",
    ):
        assert expected in message
    assert message.count(";") == 7


def test_a_root_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(DataFileError, match="none: cannot be read as a folder"):
        mnist_c_folder.load(tmp_path / "none")
    with pytest.raises(DataFileError) as caught:
        mnist_c_folder.load(tmp_path)
    assert str(caught.value).count("no such folder") == 16


def test_unknown_arguments_are_refused(root):
    with pytest.raises(ValueError, match="part must be one of train, test, got 'validation'"):
        mnist_c_folder.check(root, "validation")
    with pytest.raises(ValueError, match="no corruption 'strip', nearest is 'stripe'; no"):
        mnist_c_folder.load(root, "test", ["fog", "strip", "snow"])
    with pytest.raises(ValueError, match=r"corruptions must be some of shot_noise.*, got none"):
        mnist_c_folder.load(root, "test", [])
