"""A folder of one's own images: what it holds, how it is decoded, and what is refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import foolbox
import numpy as np
import pytest
import torch
from PIL import Image

from gon_core import architectures
from gon_core.benchmarks import image_folder as benchmark_of
from gon_core.config import DataConfig, FolderConfig
from gon_core.data import decoding, folder_images, image_folder
from gon_core.data.files import DataFileError
from gon_core.data.splits import Images, LabelledImages, split
from tests.class_folders import CLASSES, fill, photo
from tests.sweeps.faults import wait_until_gone


@pytest.fixture
def divided(tmp_path):
    """A folder with training and test images."""
    fill(tmp_path / "train", 10)
    fill(tmp_path / "val", 4, first=500)
    return tmp_path


def test_both_layouts_are_read(divided, tmp_path_factory):
    listing = image_folder.scan(divided)
    assert listing.classes == CLASSES and len(listing.training) == 30 and len(listing.test) == 12
    assert ("val/dog/003.png", 2) in listing.test and len(listing.digest) == 64
    assert listing.describe(32).classes == 3
    flat = tmp_path_factory.mktemp("flat")
    fill(flat, 10)
    listing = image_folder.scan(flat)
    assert [sum(label == k for _, label in listing.test) for k in range(3)] == [2, 2, 2]
    assert len(set(listing.training) | set(listing.test)) == 30
    assert image_folder.scan(flat) == listing, "the division does not change"
    (flat / "bird/000.png").write_bytes((flat / "bird/001.png").read_bytes())
    assert image_folder.scan(flat).digest != listing.digest


def test_what_a_relative_path_names_is_read_from_any_working_directory(divided, monkeypatch):
    monkeypatch.chdir(divided.parent)
    training, _ = folder_images.load(image_folder.scan(Path(divided.name)), 32)
    expected = training.batch(slice(0, 1))
    monkeypatch.chdir("/")
    assert torch.equal(training.batch(slice(0, 1)), expected)


def test_everything_that_is_wrong_is_said_at_once(divided):
    (divided / "train/fox").mkdir()
    for path in (divided / "val/cat").iterdir():
        path.unlink()
    (divided / "val/dgo").mkdir()
    (divided / "train/bird/002.png").write_text("no image")
    (divided / "train/bird/notes.txt").write_text("is ignored")
    with pytest.raises(DataFileError) as error:
        image_folder.scan(divided)
    text = str(error.value)
    for fault in (
        "train/fox: no images", "val/fox: no such folder", "val/cat: no images",
        "val/dgo: no such class in train, nearest is 'dog'",
        "train/bird/002.png: cannot be read (no image, or of an unknown format)",
    ):  # fmt: skip
        assert fault in text
    assert "notes.txt" not in text


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("train", "has train or val, and not both"),
        ("only", "1 folders, a class each; needs two or more"),
        ("nothing", "0 folders"),
        ("few", "few/dog: 2 images, a class needs 3 to be divided"),
    ],
)
def test_a_folder_of_another_layout_is_refused(tmp_path, name, fault):
    root = tmp_path / "few" if name == "few" else tmp_path
    if name == "train":
        fill(root / "train", 3)
    elif name == "only":
        (root / "cat").mkdir()
        Image.fromarray(photo(0)).save(root / "cat/0.png")
    elif name == "few":
        fill(root, 2)
    with pytest.raises(DataFileError, match=fault):
        image_folder.scan(root)


@pytest.mark.slow
@pytest.mark.system
def test_ten_thousand_classes_are_read(tmp_path):
    image = tmp_path / "image.png"
    Image.fromarray(photo(0, 2, 2)).save(image)
    for number in range(10_000):
        for part in ("train", "val"):
            folder = tmp_path / "many" / part / f"{number:05}"
            folder.mkdir(parents=True)
            os.link(image, folder / "0.png")
    listing = image_folder.scan(tmp_path / "many")
    assert len(listing.classes) == 10_000 and listing.test[-1] == ("val/09999/0.png", 9_999)


def decode(path, side):
    return decoding.decode(path.read_bytes(), str(path), side)


@pytest.mark.parametrize("side", [32, 64, 224])
def test_an_image_is_resized_and_its_centre_cut_out_as_by_torchvision(tmp_path, side):
    from torchvision.transforms import v2

    path = tmp_path / "wide.png"
    Image.fromarray(photo(3, 300, 500)).save(path)
    expected = v2.Compose(
        [v2.PILToTensor(), v2.Resize(round(side * 8 / 7), antialias=True), v2.CenterCrop(side)]
    )(Image.open(path))
    decoded, noted = decode(path, side)
    assert torch.equal(decoded, expected) and noted == (0, 0)
    assert decoded.shape == (3, side, side)


def test_a_smaller_image_is_enlarged(tmp_path):
    Image.fromarray(photo(3, 9, 7)).save(tmp_path / "small.png")
    decoded, noted = decode(tmp_path / "small.png", 64)
    assert decoded.shape == (3, 64, 64) and decoded.float().std() > 5
    assert noted == (0, 1) and decode(tmp_path / "small.png", 7)[1] == (0, 0)


def test_unusual_kinds_go_through_pillow_and_rotations_are_ignored(tmp_path):
    array = photo(7, 80, 80)
    image = Image.fromarray(array)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "renamed.jpg", format="PNG")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    grey = Image.fromarray(array[..., 0].astype(np.uint16) * 257)
    grey.save(tmp_path / "grey16.png")
    image.save(tmp_path / "moving.gif", save_all=True, append_images=[image.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "turned.png", exif=exif)
    plain, _ = decode(tmp_path / "plain.png", 64)
    for name, greatest in (
        ("renamed.jpg", 0),
        ("cmyk.jpg", 12),
        ("moving.gif", 40),
        ("turned.png", 0),
    ):
        decoded, noted = decode(tmp_path / name, 64)
        assert noted.by_pillow == (name not in ("cmyk.jpg", "renamed.jpg")), name
        assert (decoded.int() - plain.int()).abs().max() <= greatest, name
    decoded, _ = decode(tmp_path / "grey16.png", 64)
    assert (decoded.int() - plain[:1].int()).abs().max() <= 1, "its levels are scaled, not cut"


def images(divided, workers=0, side=32):
    training, _ = folder_images.load(image_folder.scan(divided), side)
    return training.decoded_by(workers)


def test_in_memory_or_not_the_images_are_the_same(divided):
    lazy = images(divided)
    assert isinstance(lazy, Images) and len(lazy) == 30
    kept, noted = lazy.in_memory()
    assert isinstance(kept, LabelledImages) and noted == (0, 0)
    some = torch.tensor([7, 3, 29])
    for index in (some, slice(4, 9), slice(None)):
        assert torch.equal(lazy.batch(index), kept.batch(index))
        assert torch.equal(lazy[index].labels, kept.labels[index])
    assert torch.equal(lazy[some].batch(slice(None)), kept.images[some])
    assert torch.equal(lazy.first(3).batch(slice(None)), kept.images[:3])
    for read, given in zip(
        lazy.batches([some, some[:1]]), kept.batches([some, some[:1]]), strict=True
    ):
        assert torch.equal(read, given)


def test_what_cannot_be_decoded_is_named(divided):
    path = divided / "train/cat/004.png"
    path.write_bytes(path.read_bytes()[:200])  # its head is whole
    with pytest.raises(DataFileError, match=r"train/cat/004\.png: cannot be decoded"):
        images(divided).in_memory()
    with pytest.raises(DataFileError, match=r"train/cat/004\.png"):
        images(divided).batch(slice(None))


def test_a_part_of_the_test_images_has_every_class(divided):
    folder = benchmark_of.describe(divided, 32)
    config = DataConfig(
        dataset="image_folder", folder=folder, test_images=6, validation_images=3, sample="balanced"
    )
    found = split(*benchmark_of.make(folder).read(divided), config)
    assert sorted(found.test.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert sorted(found.validation.labels.tolist()) == [0, 1, 2]


def test_it_is_split_as_any_data_set(divided):
    folder = benchmark_of.describe(divided, 32)
    config = DataConfig(dataset="image_folder", folder=folder)
    benchmark = benchmark_of.make(folder)
    splits = split(*benchmark.read(divided), config)
    assert [len(part) for part in (splits.training, splits.validation, splits.test)] == [27, 3, 12]
    kept, _ = folder_images.keep(splits, all_of_them=False, workers=0, in_trials=2)
    assert isinstance(kept.test, LabelledImages) and isinstance(kept.validation, LabelledImages)
    assert isinstance(kept.training, folder_images.FolderImages) and kept.training.workers == 2


@pytest.mark.parametrize("side", [32, 64, 224, 299])
def test_its_methods_and_strengths_fit_the_size(side):
    benchmark = benchmark_of.make(
        FolderConfig(image_size=side, classes=3, training_images=90, test_images=9, digest="")
    )
    for name, strength in benchmark.strengths.items():
        value = getattr(benchmark.methods[name], strength.parameter)
        assert strength.low <= value <= strength.high, name
        grid = (*strength.coarse_grid, *strength.paper_grid)
        assert all(0 <= value <= strength.high for value in grid), name
    assert benchmark.image_shape == (3, side, side)
    for name in (benchmark.model, benchmark.scales["paper"].model):
        assert architectures.describe(name).fits(benchmark.classes, benchmark.image_shape)


def test_trainings_that_ask_at_once_share_the_processes(divided, monkeypatch):
    def slow(decoder, count):
        time.sleep(0.05)
        return object.__new__(kind)

    kind = folder_images.Processes
    monkeypatch.setattr(folder_images, "Processes", slow)
    shared, found = images(divided, workers=2), []
    threads = [Thread(target=lambda: found.append(shared._running())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


@pytest.mark.slow
@pytest.mark.system
def test_processes_decode_ahead_and_one_that_is_killed_is_replaced(divided, caplog):
    lazy, kept = images(divided, workers=2), images(divided).in_memory()[0]
    wanted = list(torch.arange(30).repeat(4).split(4))
    found = []
    for number, batch in enumerate(lazy.batches(wanted)):
        found.append(batch)
        if number == 3:
            assert lazy.to("cpu") is lazy  # so that the next training has these processes
            killed, _ = lazy._processes.ids
            os.kill(killed, signal.SIGKILL)
            wait_until_gone([killed])
    assert "a process that decodes images died" in caplog.text
    assert torch.equal(torch.cat(found), kept.images.repeat(4, 1, 1, 1))
    again = torch.cat(list(lazy.batches(wanted[:2])))
    assert torch.equal(again, kept.images[:8]), "the processes outlast a pass"
    ahead = lazy.batches(wanted)
    next(ahead)
    ahead.close()  # a training that was stopped
    assert torch.equal(torch.cat(list(lazy.batches(wanted[:2]))), kept.images[:8])


LONELY = """
import sys, time, torch
from tests.gon_core.data.test_image_folder import images
from pathlib import Path
from threading import Thread

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    lazy = images(folder, workers=2, side=224)
    passes = lazy.batches([torch.arange(8)] * 40)
    next(passes)
    print(*lazy._processes.ids, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_processes_that_decode_end_with_the_one_that_was_killed(divided, tmp_path):
    (tmp_path / "lonely.py").write_text(LONELY)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "lonely.py"), str(divided)], stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert process.stdout is not None
    decoding = [int(word) for word in process.stdout.readline().split()]
    assert len(decoding) == 2
    time.sleep(2)  # until they wait for somebody to take their images
    process.kill()
    process.wait()
    wait_until_gone(decoding)


@pytest.mark.parametrize("side", [32, 64, 224, 299])
def test_epsilon_is_the_mean_size_of_gaussian_noise_on_photos(side):
    """On the 20 photos of ImageNet that foolbox ships, as appendix B chooses 135 for sigma 0.5."""
    files = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*"))
    assert len(files) == 20
    images = torch.stack([decode(file, side)[0] for file in files]).float() / 255
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    moved = (images + benchmark_of.SIGMA[side] * noise).clamp(0, 1) - images
    size = moved.flatten(1).norm(dim=1).mean()
    assert abs(size / benchmark_of.EPSILON[side] - 1) < 0.015
    ratio = benchmark_of.EPSILON_3X3[side] / benchmark_of.EPSILON[side]
    assert abs(ratio - 70 / 135) < 0.005
