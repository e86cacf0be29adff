"""Stylised versions of training images: the same classes, and none of an image that is held out."""

import io
import json

import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from gon_core import benchmarks
from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig
from gon_core.data import shards, stylized
from gon_core.data.files import DataFileError
from gon_core.data.splits import split
from tests.class_folders import CLASSES, fill, photo

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


WNIDS = ("n01440764", "n01443537", "n01484850")  # in the order of their labels
WORDS = ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark"]


def at_hugging_face(folder, paths, names=WORDS):
    """Write shards as those of ImageNet there: the classes named in words, the ids in the paths."""
    folder.mkdir()
    for part, count in (("train", IMAGES), ("validation", 3)):
        images, labels = [], []
        for index in range(count):
            for label, wnid in enumerate(WNIDS):
                content = io.BytesIO()
                Image.fromarray(photo(1000 * label + index)).save(content, "PNG")
                path = paths[part].format(wnid=wnid, index=index)
                images.append({"bytes": content.getvalue(), "path": path})
                labels.append(label)
        table = pa.table({"image": images, "label": pa.array(labels, pa.int64())})
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        text = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": text})
        parquet.write_table(table, folder / f"{part}-00000-of-00001.parquet", row_group_size=4)
    return folder


AT_HUGGING_FACE = {
    "train": "{wnid}_{index}.JPEG", "validation": "ILSVRC2012_val_{index:08}_{wnid}.JPEG",
}  # fmt: skip


@pytest.fixture
def by_wnid(tmp_path, monkeypatch):
    """Stylised images in folders of ids, beside shards of Hugging Face."""
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    for label, wnid in enumerate(WNIDS):
        (tmp_path / "sin/train" / wnid).mkdir(parents=True)
        for index in range(IMAGES):
            file = tmp_path / "sin/train" / wnid / f"{wnid}_{index}.png"
            Image.fromarray(photo(50_000 + 1000 * label + index)).save(file)
    yield tmp_path / "sin"
    image_folder.listing.cache_clear()
    image_folder.stylized.cache_clear()


@pytest.mark.parametrize("train", ["{wnid}_{index}.JPEG", "{wnid}_{index}_{wnid}.JPEG"])
def test_shards_of_hugging_face_are_compared_by_the_ids_in_their_paths(train, by_wnid, tmp_path):
    own = at_hugging_face(tmp_path / "hf", AT_HUGGING_FACE | {"train": train})
    splits = splits_of(own)
    found = stylized.add(splits, image_folder.stylized(own, by_wnid))
    count = len(splits.training)
    assert found.stylized == count == len(found.training) - count < 3 * IMAGES
    files = [name.rpartition("/")[2] for name in names_of(found.training)]
    versions = [name.removesuffix(".png") for name in files[count:]]
    of_own = {"_".join(name.removesuffix(".JPEG").split("_")[:2]) for name in files[:count]}
    assert {*versions} == of_own
    labels = found.training.labels[count:].tolist()
    assert [WNIDS[label] for label in labels] == [name.split("_")[0] for name in versions]


def names_of(images):
    return [images.source.name(number) for number in range(len(images))]


@pytest.mark.parametrize(
    "train", ["{index}.JPEG", "n01440764_{index}.JPEG", "{wnid}_{index}_n0{index:07}.JPEG"],
    ids=["none", "the same for all", "several of a class"],
)  # fmt: skip
def test_paths_that_do_not_agree_on_an_id_leave_the_names(train, by_wnid, tmp_path):
    own = at_hugging_face(tmp_path / "hf", AT_HUGGING_FACE | {"train": train})
    with pytest.raises(DataFileError, match="no folder of goldfish"):
        image_folder.stylized(own, by_wnid)


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
