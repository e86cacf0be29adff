"""Real ImageNet weights on real photos: with a wrong preprocessing they would answer wrongly."""

import pytest
import torch
from torch import nn

from gon_core import benchmarks
from gon_core.benchmarks.imagenet_c import CORRUPTIONS
from gon_core.data.decoding import decode
from gon_core.data.splits import LabelledImages
from gon_core.evaluation.corrupted_sets import CLEAN_KEY, build
from tests.real_photos import EfficientNetLite0, photo_files

SEVERITIES = (1, 3, 5)
pytestmark = pytest.mark.slow  # a minute


@pytest.fixture(scope="module")
def photos():
    """The 20 ImageNet photos of foolbox, cut as ImageNet's validation images are."""
    files, labels = photo_files()
    images = [decode(file.read_bytes(), file.name, 224)[0] for file in files]
    return LabelledImages(torch.stack(images), torch.tensor(labels))


@torch.inference_mode()
def nats_and_right(model, images):
    logits = model(images.batch(slice(None)).float() / 255)
    right = int((logits.argmax(1) == images.labels).sum())
    return float(nn.functional.cross_entropy(logits, images.labels)), right


def test_real_weights_are_right_on_clean_photos_and_suffer_from_each_corruption(photos):
    model = EfficientNetLite0().eval()
    suite = benchmarks.get("imagenet").suites["test"]
    versions = build(photos, "test", suite, 0).images
    clean, right = nats_and_right(model, versions[CLEAN_KEY])
    assert right == 17 and len(photos) == 20
    nats = {
        (name, severity): nats_and_right(model, versions[name, severity])[0]
        for name in CORRUPTIONS
        for severity in SEVERITIES
    }
    for name in CORRUPTIONS:
        assert nats[name, 5] > nats[name, 1], (name, nats)
    means = {name: sum(nats[name, s] for s in SEVERITIES) / 3 for name in CORRUPTIONS}
    assert min(means, key=means.get) == "brightness" and means["brightness"] > clean, means
