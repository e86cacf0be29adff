"""Corruption sets on disk give the same rows as the same images in memory."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.io import encode_png, write_file

from gon_core.blank import blank
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import open_folder
from gon_core.evaluation import errors_over_severities, evaluate, evaluate_imagenet_c, read_mnist_c
from gon_core.seeding import generator

CLASSES, SIDE = 7, 4


@pytest.fixture(scope="module")
def linear():
    """A function that makes a classifier which answers by chance."""

    def make(pixels, classes):
        layer = blank(nn.Linear, pixels, classes)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_(generator=generator(0, "weights"))
        return nn.Sequential(nn.Flatten(), layer)

    return make


def test_mnist_c_on_disk_is_evaluated_as_in_memory(tmp_path, evaluation_sets, linear):
    made = evaluation_sets["test", 0]
    for (name, _), images in made.images.items():
        folder = tmp_path / ("identity" if name == "clean" else name)
        folder.mkdir()
        np.save(folder / "test_images.npy", images.images.squeeze(1).unsqueeze(-1).numpy())
        np.save(folder / "test_labels.npy", images.labels.numpy())
    read = read_mnist_c(tmp_path)
    assert read.split == "test" and list(read.images) == list(made.images)
    model = linear(784, 10)
    assert [*evaluate(model, read)] == [*evaluate(model, made)]


@pytest.fixture
def images(tmp_path):
    """Two corruptions of 14 images of 7 classes, and all pixels by corruption and severity."""
    stream, pixels = generator(0, "images"), {}
    for corruption in ("snow", "frost"):
        for severity in range(1, 6):
            made = torch.randint(0, 256, (2 * CLASSES, 3, SIDE, SIDE), generator=stream)
            pixels[corruption, severity] = made.to(torch.uint8)
            for index, image in enumerate(pixels[corruption, severity]):
                folder = tmp_path / corruption / str(severity) / f"n{index // 2}"
                folder.mkdir(parents=True, exist_ok=True)
                write_file(str(folder / f"{index % 2}.png"), encode_png(image))
    return open_folder(tmp_path, ("snow", "frost"), CLASSES, SIDE), pixels


@pytest.mark.parametrize("batch_size", [3, 64])
def test_imagenet_c_gives_a_row_per_corruption_and_severity(images, linear, batch_size):
    opened, pixels = images
    model = linear(3 * SIDE * SIDE, CLASSES).train()
    rows = [*evaluate_imagenet_c(model, opened, batch_size)]
    assert [(row.setting, row.severity) for row in rows] == [*pixels]
    labels = torch.arange(2 * CLASSES) // 2
    for row, made in zip(rows, pixels.values(), strict=True):
        logits = model(made / 255)
        above = (logits > logits.gather(1, labels.unsqueeze(1))).sum(1)
        assert row.extra["correct"] == int((above == 0).sum())
        assert row.extra["top5"] == pytest.approx(100 * int((above < 5).sum()) / row.count)
        assert row.count == 2 * CLASSES and row.split == "test"
    assert len({row.extra["correct"] for row in rows}) > 1 and model.training
    assert set(errors_over_severities(rows, "test")) == {"snow", "frost"}


def test_rows_come_as_they_are_known(images, linear):
    opened, _ = images
    (opened.root / "snow" / "2" / "n3" / "1.png").write_bytes(b"")
    rows = evaluate_imagenet_c(linear(3 * SIDE * SIDE, CLASSES), opened)
    assert next(rows).severity == 1
    with pytest.raises(DataFileError, match=r"snow/2/n3/1\.png: cannot be decoded"):
        next(rows)
