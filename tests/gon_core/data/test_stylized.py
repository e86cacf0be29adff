"""Stylised versions of training images: the same classes, and none of an image that is held out."""

import pytest
import torch

from gon_core import benchmarks
from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig
from gon_core.data import shards, stylized
from gon_core.data.files import DataFileError
from gon_core.data.splits import split
from tests.class_folders import CLASSES, fill

IMAGES = 10  # of each class to train on


@pytest.fixture
def photos(tmp_path):
    fill(tmp_path / "photos/train", IMAGES)
    fill(tmp_path / "photos/val", 3, first=500)
    yield tmp_path / "photos"
    image_folder.listing.cache_clear()
    image_folder.stylized.cache_clear()


def splits_of(photos, **changes):
    folder = benchmarks.get("image_folder").describe(photos, 32)
    data = DataConfig(dataset="image_folder", folder=folder, **changes)
    return split(*data.benchmark.read(photos), data)


def stems(images, first=0):
    names = [images.source.name(number) for number in range(first, len(images))]
    return [name.rpartition("train/")[2].rpartition(".")[0] for name in names]


@pytest.mark.parametrize("below", ["train", ""], ids=["as Geirhos et al.", "the folder itself"])
def test_each_image_that_is_trained_on_has_its_version_and_no_other_has(photos, tmp_path, below):
    fill(tmp_path / "sin" / below, IMAGES, first=1000, suffix=".jpg")
    for changes in ({}, {"training_images": 12}):
        splits = splits_of(photos, **changes)
        found = stylized.add(splits, image_folder.stylized(photos, tmp_path / "sin"))
        own = len(splits.training)
        assert found.stylized == own == len(found.training) - own
        assert torch.equal(found.training.labels[:own], splits.training.labels)
        versions = ["/".join(name.split("/")[-2:]) for name in stems(found.training, own)]
        assert set(versions) == set(stems(splits.training))
        labels = found.training.labels[own:].tolist()
        assert [CLASSES[label] for label in labels] == [name.split("/")[0] for name in versions]
        index = torch.tensor([0, own, 2 * own - 1])
        (batch,) = found.training.batches([index], seed=3)
        assert torch.equal(batch[0], splits.training.batch(torch.tensor([0]))[0])
        assert not torch.equal(batch[1], batch[0])
        assert stems(found.training[: own - 1]) == stems(splits.training)[:-1]


def test_in_shards_they_are_the_same(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    fill(tmp_path / "sin/train", IMAGES, first=1000)
    fill(tmp_path / "sin/val", 3, first=1500)
    shards.write(tmp_path / "sin", tmp_path / "shards")
    for path in (tmp_path / "shards").glob("validation-*"):
        path.unlink()  # nothing reads it
    splits = splits_of(photos)
    from_shards, from_files = (
        stylized.add(splits, image_folder.stylized(photos, tmp_path / name)).training
        for name in ("shards", "sin")
    )
    index = torch.arange(len(splits.training), len(from_files))
    assert torch.equal(from_shards.batch(index), from_files.batch(index))
    assert torch.equal(from_shards.labels, from_files.labels)


def test_versions_of_other_names_are_all_taken_but_those_of_held_out_images(photos, tmp_path):
    splits = splits_of(photos)
    fill(tmp_path / "sin", 4, first=1000)
    for name in CLASSES:
        for path in (tmp_path / "sin" / name).iterdir():
            path.rename(path.with_name(f"other-{path.name}"))
    found = stylized.add(splits, image_folder.stylized(photos, tmp_path / "sin"))
    assert found.stylized == 12


def test_other_classes_are_refused_with_their_names(photos, tmp_path):
    fill(tmp_path / "sin", 3)
    (tmp_path / "sin/cat").rename(tmp_path / "sin/kitten")
    rule = "no folder of cat; no such class among the training images: kitten"
    with pytest.raises(DataFileError, match=rule):
        image_folder.stylized(photos, tmp_path / "sin")
    (tmp_path / "sin/kitten").rename(tmp_path / "sin/cat")
    image_folder.stylized.cache_clear()
    assert image_folder.stylized(photos, tmp_path / "sin").classes == CLASSES
    (tmp_path / "sin/cat/000.png").write_text("no image")
    image_folder.stylized.cache_clear()
    with pytest.raises(DataFileError, match=r"cat/000.png: cannot be read \(no image"):
        image_folder.stylized(photos, tmp_path / "sin")


def test_each_set_has_a_digest_of_its_own(photos, tmp_path):
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 4)
    digests = {image_folder.stylized(photos, tmp_path / name).digest for name in ("a", "b")}
    assert len(digests) == 2
