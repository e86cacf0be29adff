"""ImageNet-C on disk: lazy, in a fixed order, every fault of its folders named in one message."""

import shutil

import pytest
import torch
from torchvision.io import encode_jpeg, encode_png, write_file

from gon_core.data import imagenet_c_folder
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import CORRUPTIONS, EXTRA, open_folder

SIDE = 8
CLASSES = {"n02": ("b.JPEG", "a.JPEG"), "n01": ("z.JPEG",), "n03": ("c.png", "d.jpg")}
NAMES = ("fog", "gaussian_noise")


def grey(level, side=SIDE):
    """Return a grey RGB image."""
    return torch.full((3, side, side), level, dtype=torch.uint8)


def levels(corruption, severity):
    """Return the grey levels of a folder's images, by class and file, all different."""
    first = 20 * severity + 10 * NAMES.index(corruption)
    names = [(name, image) for name, images in sorted(CLASSES.items()) for image in sorted(images)]
    return {name: first + index for index, name in enumerate(names)}


@pytest.fixture
def root(tmp_path):
    """Two corruptions of five images of three classes."""
    for corruption in NAMES:
        for severity in range(1, 6):
            for (label, image), level in levels(corruption, severity).items():
                folder = tmp_path / corruption / str(severity) / label
                folder.mkdir(parents=True, exist_ok=True)
                encode = encode_png if image.endswith("png") else encode_jpeg
                write_file(str(folder / image), encode(grey(level)))
    return tmp_path


def opened(root, names=NAMES, classes=3, side=SIDE):
    return open_folder(root, names, classes, side)


def test_the_names_are_those_of_the_benchmark():
    assert len(CORRUPTIONS) == 15 and CORRUPTIONS[:2] == ("gaussian_noise", "shot_noise")
    assert not set(CORRUPTIONS) & set(EXTRA)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_every_image_is_read_once_in_order_with_its_label(root, batch_size):
    images = opened(root)
    assert len(images) == 5 and images.classes == ("n01", "n02", "n03")
    for corruption in NAMES:
        for severity in range(1, 6):
            batches = [*images.batches(corruption, severity, batch_size)]
            assert [len(labels) for _, labels in batches[:-1]] == [batch_size] * (len(batches) - 1)
            pixels = torch.cat([pixels for pixels, _ in batches])
            assert pixels.dtype == torch.uint8 and pixels.shape == (5, 3, SIDE, SIDE)
            expected = [*levels(corruption, severity).values()]
            assert pixels[:, 0, 0, 0].tolist() == expected
            assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1, 1, 2, 2]


def test_images_are_read_as_they_are_asked_for(root):
    batches = opened(root).batches("fog", 2, 2)
    next(batches)
    (root / "fog" / "2" / "n03" / "d.jpg").write_bytes(b"")
    next(batches)
    with pytest.raises(DataFileError, match=r"d\.jpg: cannot be decoded"):
        next(batches)


def test_grey_images_become_rgb_and_what_is_no_image_is_left_out(root):
    for folder in root.glob("*/*/n01"):
        write_file(str(folder / "z.JPEG"), encode_jpeg(grey(90)[:1]))
        (folder / "index.txt").write_text("z.JPEG")
        (folder / ".hidden.jpg").write_text("")
    (root / "speckle_noise").mkdir()
    (root / "MD5SUMS").write_text("")
    pixels, _ = next(opened(root).batches("fog", 1, 1))
    assert pixels.unique().tolist() == [90]


def test_all_faulty_images_of_a_batch_are_named(root):
    folder = root / "fog" / "3"
    cut = folder / "n01" / "z.JPEG"
    cut.write_bytes(cut.read_bytes()[:-3])
    (folder / "n02" / "a.JPEG").write_bytes(b"\x80\x04N.")
    write_file(str(folder / "n03" / "c.png"), encode_png(grey(1, side=9)))
    images = opened(root)
    with pytest.raises(DataFileError) as caught:
        next(images.batches("fog", 3))
    message = str(caught.value)
    assert f"{cut}: cannot be decoded (image file is truncated" in message
    assert "a.JPEG: cannot be decoded" in message
    assert "c.png: 9 x 9 pixels, expected 8 x 8" in message
    assert "b.JPEG" not in message and "\n" not in message


def missing_severity(root):
    shutil.rmtree(root / "fog" / "4")


def two_missing_severities(root):
    shutil.rmtree(root / "fog" / "1")
    shutil.rmtree(root / "gaussian_noise" / "5")


def unknown_severity(root):
    (root / "fog" / "6").mkdir()


def misspelt_corruption(root):
    (root / "fog").rename(root / "gausian_noise")


def missing_class(root):
    shutil.rmtree(root / "gaussian_noise" / "2" / "n02")


def unknown_class(root):
    (root / "gaussian_noise" / "2" / "n04").mkdir()


def one_class_more_everywhere(root):
    for folder in root.glob("*/*"):
        shutil.copytree(folder / "n01", folder / "n04")


def empty_class(root):
    for folder in root.glob("*/*/n01"):
        (folder / "z.JPEG").unlink()


def missing_image(root):
    (root / "gaussian_noise" / "3" / "n02" / "a.JPEG").unlink()


def other_image(root):
    folder = root / "gaussian_noise" / "3" / "n02"
    (folder / "a.JPEG").rename(folder / "e.JPEG")


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        (missing_severity, ["fog/4: no such folder"]),
        (two_missing_severities, ["fog/1: no such", "gaussian_noise/5: no such"]),
        (unknown_severity, ["fog/6: severities are 1 to 5"]),
        (misspelt_corruption, ["nearest is 'gaussian_noise'", "fog: no such folder"]),
        (missing_class, ["gaussian_noise/2/n02: no such folder"]),
        (unknown_class, ["gaussian_noise/2/n04: an unknown class"]),
        (one_class_more_everywhere, ["4 class folders, expected 3"]),
        (empty_class, ["fog/1/n01: no images"]),
        (missing_image, ["gaussian_noise/3/n02: 1 images missing, 0 unknown"]),
        (other_image, ["gaussian_noise/3/n02: 1 images missing, 1 unknown"]),
    ],
)
def test_faulty_folders_are_refused_before_an_image_is_read(root, damage, messages, monkeypatch):
    damage(root)
    monkeypatch.setattr(imagenet_c_folder, "_read", None)
    with pytest.raises(DataFileError) as caught:
        opened(root)
    assert all(message in str(caught.value) for message in messages)
    assert str(caught.value).count(";") == len(messages) - 1 and "\n" not in str(caught.value)


def test_a_message_does_not_grow_without_end(root):
    with pytest.raises(DataFileError, match="no such folder") as caught:
        opened(root, CORRUPTIONS)
    assert str(caught.value).count("no such folder") == 13
    for corruption in CORRUPTIONS:
        (root / corruption).mkdir(exist_ok=True)
    with pytest.raises(DataFileError, match=r"; and 45 more$"):
        opened(root, CORRUPTIONS)


def test_a_root_that_is_no_folder_and_an_unknown_corruption_are_named(tmp_path):
    with pytest.raises(DataFileError, match="none: cannot be read as a folder"):
        opened(tmp_path / "none")
    with pytest.raises(ValueError, match="no corruption 'zoomblur', nearest is 'zoom_blur'"):
        opened(tmp_path, ["fog", "zoomblur"])
    with pytest.raises(ValueError, match=r"corruptions must be some of .*, got none"):
        opened(tmp_path, [])
