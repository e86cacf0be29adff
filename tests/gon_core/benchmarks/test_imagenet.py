"""ImageNet and every tenth of its classes: held-out images, corruptions, what is refused."""

import pytest
import torch
from PIL import Image

from gon_core import benchmarks, paper
from gon_core.benchmarks import image_folder, imagenet
from gon_core.config import DataConfig, StartConfig, TrialConfig
from gon_core.corruptions import photos
from gon_core.data.files import DataFileError
from gon_core.data.splits import split
from tests.class_folders import photo

IMAGES = 4  # of each class to train on, and one to test


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A folder with 1,000 classes of tiny images, whose names sort as ImageNet's do."""
    root = tmp_path_factory.mktemp("imagenet")
    for label in range(1000):
        name = f"n{label:08}"
        for part, count in (("train", IMAGES), ("val", 1)):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = photo(10 * label + index, 9, 9)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    yield root
    image_folder.listing.cache_clear()


def data_of(dataset, root, **changes):
    folder = benchmarks.get(dataset).describe(root, 64)
    return DataConfig(dataset=dataset, folder=folder, **changes)


@pytest.mark.system
def test_every_tenth_class_is_taken_and_each_is_held_out_alike(thousand):
    data = data_of("imagenet100", thousand)
    found = data.benchmark
    assert (found.classes, found.image_shape, found.name) == (100, (3, 64, 64), "imagenet100")
    assert found.held_out == 200 and found.model == "preactresnet18"
    splits = split(*found.read(thousand), data)
    for part, each in ((splits.training, 2), (splits.validation, 2), (splits.test, 1)):
        assert part.labels.bincount().tolist() == [each] * 100
    assert splits.test.source.paths[splits.test.labels.tolist().index(7)].startswith(
        "val/n00000070/"
    )
    assert splits.training.least_area == 0.08 and splits.test.least_area is None
    whole = data_of("imagenet", thousand)
    assert whole.benchmark.classes == 1000 and whole.benchmark.held_out == 2000
    assert found.check(thousand) and whole.benchmark.name == "imagenet"


def test_another_number_of_classes_is_refused(tmp_path):
    for label in range(3):
        for part in ("train", "val"):
            (tmp_path / part / f"n{label}").mkdir(parents=True)
            Image.fromarray(photo(label)).save(tmp_path / part / f"n{label}" / "0.png")
    for dataset, wanted in (("imagenet", "1,000"), ("imagenet100", "1,000 or 100")):
        with pytest.raises(DataFileError, match=f"has 3 classes, must have {wanted}; for other"):
            benchmarks.get(dataset).describe(tmp_path, 64)


def test_images_are_corrupted_as_published_with_the_last_jpeg():
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    suite = imagenet.IMAGENET.suites["test"]
    found = suite.corrupt(images, "contrast", 3, 0, 5)
    expected = photos.corrupt(images, "contrast", 3, 0, range(5, 7), jpeg=True)
    assert torch.equal(found, expected)
    assert not torch.equal(found, photos.corrupt(images, "contrast", 3, 0, range(5, 7)))
    assert suite.reference_errors == "alexnet_imagenet_c_error"
    assert imagenet.IMAGENET100.suites["test"].reference_errors is None
    assert imagenet.IMAGENET.has_extra


@pytest.mark.parametrize("found", [imagenet.IMAGENET, imagenet.IMAGENET100])
def test_published_rows_exist_and_all_are_accounted_for(found):
    rows = paper.models(found.published.top1)
    assert set(found.published.rows.values()) | set(found.published.not_trained) == set(rows)
    assert not set(found.published.rows.values()) & set(found.published.not_trained)
    for table, x, y in found.published.curves.values():
        assert {x, y} <= set(paper.load(table).column_names)


def test_the_recipe_is_the_papers():
    scale = imagenet.IMAGENET.scales["paper"]
    training = scale.training
    assert (training.batch_size, training.learning_rate, training.momentum) == (70, 1e-3, 0.9)
    assert training.weight_decay == 0 and not training.is_scheduled
    assert (scale.start.learning_rate, scale.start.max_epochs) == (0.1, 120)
    methods = imagenet.IMAGENET.methods
    assert methods["ant_1x1"].epsilon == 135 and methods["ant_3x3"].epsilon == 70
    assert methods["gnt"].sigma == 0.5 and imagenet.IMAGENET.held_out == 25_000


def test_each_methods_values_are_its_authors():
    methods, scale = imagenet.IMAGENET.methods, imagenet.IMAGENET.scales["paper"]
    patch = methods["patch_gaussian"]
    assert (patch.patch_size, patch.random_size, patch.sigma_max) == (250, True, 1)
    augmix = methods["augmix"]
    assert (augmix.severity, augmix.consistency, augmix.width, augmix.max_depth) == (1, 12, 3, 3)
    assert augmix.solarize and augmix.geometric
    assert methods["uat"].epsilon == 10 / 255 and methods["uat"].step_size is None
    targeted = methods["pgd_targeted"]
    assert (targeted.epsilon, targeted.step_size, targeted.steps) == (16 / 255, 1 / 255, 30)
    assert targeted.targeted and targeted.random_start
    assert (targeted.clean_start_share, targeted.label_smoothing) == (0.2, 0.1)
    assert methods["ford"].sigma_max == 0.4 and methods["ant_1x1_sin"].stylized_share == 15 / 70
    assert scale.recipes["pgd_targeted"].decay_epochs == (35, 70, 95)


def test_a_trial_of_each_is_another_trial():
    folder = imagenet.IMAGENET.folder.model_copy(update={"digest": "d"})
    ids = set()
    for dataset in ("imagenet", "image_folder"):
        data = DataConfig(dataset=dataset, folder=folder, validation_images=100)
        training = imagenet.FINE_TUNING
        start = StartConfig(data=data, model="resnet50", training=training)
        method = imagenet.IMAGENET.methods["gnt"]
        config = TrialConfig(
            method=method, data=data, model="resnet50", training=training, start=start
        )
        again = TrialConfig.model_validate_json(config.model_dump_json())
        assert again == config and again.data.benchmark.name == dataset
        ids.add(config.trial_id)
    assert len(ids) == 2
