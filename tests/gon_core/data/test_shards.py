"""Parquet shards in Hugging Face's layout: written, scanned, copied once, read at random."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import fs, parquet

from gon_core.data import folder_images, image_folder, parquet_folder, sharded, shards
from gon_core.data.files import DataFileError
from tests.class_folders import CLASSES, fill, photo


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where copies of shards are made."""
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def divided(tmp_path):
    """A folder of 30 training and 12 test images, in three classes."""
    fill(tmp_path / "photos/train", 10)
    fill(tmp_path / "photos/val", 4, first=500)
    return tmp_path / "photos"


@pytest.fixture
def written(divided, tmp_path):
    """The same as shards, of which each has some ten images."""
    assert shards.write(divided, tmp_path / "shards", shard_bytes=1) == 42
    return str(tmp_path / "shards")


def encoded(seed):
    content = io.BytesIO()
    Image.fromarray(photo(seed)).save(content, "PNG")
    return content.getvalue()


def hand_made(folder, labels, part="train", names=None, **columns):
    """Write one shard with small images of these labels, as others would."""
    folder.mkdir(exist_ok=True)
    table = pa.table({
        "image": [{"bytes": encoded(k), "path": None} for k in range(len(labels))],
        "label": pa.array(labels, pa.int64()),
    } | columns)  # fmt: skip
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        text = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": text})
    parquet.write_table(table, folder / f"{part}-00000-of-00001.parquet", row_group_size=4)
    return str(folder)


def test_shards_hold_what_the_folder_holds(divided, written, tmp_path):
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"]
    of_shards, of_folder = sharded.scan(written), image_folder.scan(divided)
    assert of_shards.classes == of_folder.classes == CLASSES
    assert of_shards.describe(32).model_dump(exclude={"digest"}) == (
        of_folder.describe(32).model_dump(exclude={"digest"})
    )
    for there, here in zip(
        folder_images.load(of_shards, 32), folder_images.load(of_folder, 32), strict=True
    ):
        assert torch.equal(there.labels, here.labels)
        some = torch.tensor([11, 3, 0, 7])
        assert torch.equal(there.batch(some), here.batch(some))
        assert torch.equal(there[some].batch(slice(None)), here.batch(some))
    assert sharded.scan(written).digest == of_shards.digest != of_folder.digest
    with pytest.raises(DataFileError, match="holds shards already"):
        shards.write(divided, tmp_path / "shards")


def test_many_shards_are_one_sequence(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "GROUP", 4)
    monkeypatch.setattr(sharded, "ROWS", 7)  # a batch of Arrow is of several shards
    fill(tmp_path / "photos/train", 10)
    fill(tmp_path / "photos/val", 4)
    shards.write(tmp_path / "photos", tmp_path / "out", shard_bytes=1)
    assert len(list((tmp_path / "out").glob("train-*.parquet"))) == 8
    assert (tmp_path / "out/train-00007-of-00008.parquet").exists()
    training, _ = folder_images.load(sharded.scan(str(tmp_path / "out")), 32)
    expected, _ = folder_images.load(image_folder.scan(tmp_path / "photos"), 32)
    assert torch.equal(training.batch(slice(None)), expected.batch(slice(None)))


def test_images_can_be_reduced_on_the_way(divided, tmp_path, capsys):
    Image.fromarray(photo(1, 90, 160)).save(divided / "train/cat/wide.png")
    out = tmp_path / "small"
    assert shards.main([str(divided), str(out), "--side", "64", "--quality", "80"]) == 0
    assert "43 images in 2 shards" in capsys.readouterr().out
    (training, _), _ = sharded.scan(str(out)).open()
    sizes = {
        Image.open(io.BytesIO(training.read(number))).size: training.name(number)
        for number in range(len(training))
    }
    assert sizes[(114, 64)] == "wide.jpg" and set(sizes) == {(50, 40), (114, 64)}
    assert shards.main([str(divided), str(out), "--side", "8"]) == 2
    assert shards.main([str(divided / "none"), str(tmp_path / "x")]) == 2


@pytest.mark.system
def test_the_copy_is_made_once_and_a_process_reads_it(written, cache):
    listing = sharded.scan(written)
    listing.open()
    (path,) = cache.glob("*-training.arrow")
    made = path.stat().st_mtime_ns
    sharded.scan(written).open()
    assert path.stat().st_mtime_ns == made
    assert not list(cache.glob("*.part"))
    lazy, _ = folder_images.load(listing, 32)
    whole = lazy.batch(slice(None))
    found = torch.cat(list(lazy.decoded_by(1).batches([torch.arange(30)])))
    assert torch.equal(found, whole)


def test_relative_paths_hold_in_any_working_directory(written, monkeypatch):
    monkeypatch.chdir(Path(written).parent)
    monkeypatch.setenv("GON_CACHE_DIR", "cache")
    listing = sharded.scan(Path(written).name)
    (training, _), _ = listing.open()
    monkeypatch.chdir("/")
    assert len(training.read(0)) > 0 and Path(listing.uri) == Path(written)


def test_smaller_images_of_the_same_names_are_other_images(divided, written, tmp_path):
    Image.fromarray(photo(1, 90, 160)).save(divided / "train/cat/003.png")
    for name, side in (("whole", None), ("small", 64)):
        shards.write(divided, tmp_path / name, side)
    whole, small = (sharded.scan(str(tmp_path / name)) for name in ("whole", "small"))
    assert whole.files == small.files and whole.digest != small.digest
    (first, _), _ = whole.open()
    (second, _), _ = small.open()
    assert first.read(13) != second.read(13), "each has a copy of its own"


def test_every_nth_class_is_taken_and_no_other_is_copied(tmp_path, cache):
    place = hand_made(tmp_path / "s", [0, 1, 2, 3, 4, 2, 0], names=list("abcde"))
    hand_made(tmp_path / "s", [4, 3, 2, 1, 0], "validation")
    listing = sharded.scan(place).every(2)
    assert listing.classes == ("a", "c", "e")
    (training, labels), (test, test_labels) = listing.open()
    assert labels.tolist() == [0, 1, 2, 1, 0] and test_labels.tolist() == [2, 1, 0]
    assert [training.read(k) for k in range(5)] == [encoded(k) for k in (0, 2, 4, 5, 6)]
    assert test.read(1) == encoded(2)
    assert listing.digest != sharded.scan(place).digest
    assert len(list(cache.glob("*.arrow"))) == 2


@pytest.mark.system
def test_shards_are_read_from_a_bucket_and_its_key_is_not_shown(written, tmp_path):
    from tests.s3_store import BUCKET, s3_store, uri

    with s3_store() as address:
        place = uri(address)
        store, _ = fs.FileSystem.from_uri(place)
        fs.copy_files(written, f"{BUCKET}/some/sweeps", destination_filesystem=store)
        assert parquet_folder.is_sharded(place)
        listing = sharded.scan(place)
        training, _ = folder_images.load(listing, 32)
        expected, _ = folder_images.load(sharded.scan(written), 32)
        assert torch.equal(training.batch(slice(None)), expected.batch(slice(None)))
        store.delete_file(f"{BUCKET}/some/sweeps/validation-00000-of-00001.parquet")
        with pytest.raises(DataFileError) as error:
            sharded.scan(place)
        assert "s3://***@" in str(error.value) and "secret" not in str(error.value)


def test_an_address_that_became_a_path_is_put_right():
    assert parquet_folder.as_uri(Path("s3://bucket/photos")) == "s3://bucket/photos"
    assert parquet_folder.as_uri("/a/b:/c") == "/a/b:/c"
    assert parquet_folder.is_sharded("s3://bucket/photos")
    assert not parquet_folder.is_sharded("/nowhere")


def test_what_is_wrong_is_named_before_anything_is_copied(tmp_path, written, cache):
    with pytest.raises(DataFileError, match=r"no validation-\*\.parquet"):
        sharded.scan(hand_made(tmp_path / "half", [0, 1]))
    place = hand_made(tmp_path / "labels", [0, 1, 7], names=["a", "b"])
    hand_made(tmp_path / "labels", [0, 1], "validation")
    with pytest.raises(DataFileError, match="labels that are none of the 2 classes, such as 7"):
        sharded.scan(place)
    hand_made(tmp_path / "labels", [0, -1], names=["a", "b"])
    with pytest.raises(DataFileError, match="such as -1"):
        sharded.scan(place)
    hand_made(tmp_path / "labels", [0, 1, 2])
    with pytest.raises(
        DataFileError, match="test images are missing for 1 of the 3 classes, such as 2"
    ):
        sharded.scan(place)
    hand_made(tmp_path / "labels", [0, 1], image=pa.array([b"a", b"b"]))
    with pytest.raises(DataFileError, match="the column image has no bytes"):
        sharded.scan(place)
    shard = next((tmp_path / "shards").glob("train-*"))
    content = shard.read_bytes()
    shard.write_bytes(content[:-20])
    with pytest.raises(DataFileError, match=r"train-00000-of-00001\.parquet"):
        sharded.scan(written)
    with pytest.raises(DataFileError, match="cannot be read as a folder"):
        sharded.scan(str(tmp_path / "nothing"))
    assert not cache.exists()


def test_who_only_tests_shares_the_copy_of_who_trains(written, cache):
    both, alone = sharded.scan(written), sharded.scan(written, ("test",))
    both.open()
    (made,) = cache.glob("*-test.arrow")
    before = made.stat().st_mtime_ns
    alone.open()
    assert alone.digest != both.digest and len(list(cache.glob("*.arrow"))) == 2
    assert made.stat().st_mtime_ns == before
    alone.every(2).open()
    both.every(2).open()
    assert len(list(cache.glob("*-test.arrow"))) == 2, "every other class is a copy of its own"


@pytest.mark.parametrize("is_last", [False, True])
def test_image_bytes_that_a_shard_lost_are_named_before_it_is_copied(tmp_path, cache, is_last):
    place = hand_made(tmp_path / "s", [0, 1, 0, 1, 0])
    hand_made(tmp_path / "s", [0, 1], "validation")
    path = tmp_path / "s/train-00000-of-00001.parquet"
    if is_last:  # then the labels are whole, and can be read
        table = parquet.read_table(path)
        parquet.write_table(table.select(["label", "image"]), path, row_group_size=4)
    listing, content = sharded.scan(place), path.read_bytes()
    group = parquet.read_metadata(path).row_group(1)
    start = group.column(int(is_last)).data_page_offset  # of the images' bytes
    path.write_bytes(content[: start + 20] + content[start + 50 :])
    with pytest.raises(DataFileError, match=r"train-00000-of-00001\.parquet: .* is truncated"):
        sharded.scan(place)
    assert len(listing.labels["training"]) == 5 and not cache.exists()


def test_a_row_group_that_is_truncated_is_named_when_it_is_copied(written, tmp_path, cache):
    listing = sharded.scan(written)
    shard = next((tmp_path / "shards").glob("train-*"))
    content = bytearray(shard.read_bytes())
    content[4:2000] = bytes(1996)  # its footer, and the labels behind, are whole
    shard.write_bytes(content)
    with pytest.raises(DataFileError, match=r"train-00000-of-00001\.parquet"):
        listing.open()
    assert not list(cache.glob("*-training.arrow"))


def test_a_folder_that_has_no_room_is_named(written, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "file/below"))
    with pytest.raises(DataFileError, match="set GON_CACHE_DIR to a folder with room"):
        sharded.scan(written).open()


def test_rows_are_numbers():
    rows = np.arange(3)
    assert len(sharded.Shards(Path("x"), rows)[[2, 0]]) == 2
