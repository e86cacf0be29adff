"""The training images of a trial of several processes that are decoded in every epoch."""

import pytest
import torch

from gon_core.benchmarks import image_folder
from gon_core.config import DataConfig, EvaluationConfig, TrainingConfig, TrialConfig, Vanilla
from gon_core.data import folder_images, sharded, shards
from gon_core.data.splits import split
from gon_core.data.stylized import Joined
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.trials.ranks.images import leave, of_one_rank, take
from sweeps.engine.trials.trial import make_deterministic, run_trial
from tests.class_folders import fill


@pytest.fixture
def photos(tmp_path):
    fill(tmp_path / "photos" / "train", 10)
    fill(tmp_path / "photos" / "val", 3, first=500)
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", ["files", "shards"])
def test_ranks_read_the_same_images(kind, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("GON_CACHE_DIR", str(tmp_path / "cache"))
    listing = image_folder.listing(photos)
    if kind == "shards":
        shards.write(photos, tmp_path / "shards")
        listing = sharded.scan(str(tmp_path / "shards"))
    ours = folder_images.load(listing, 32, least_area=0.08)[0][torch.arange(20, 3, -2)]
    leave(ours.decoded_by(3), tmp_path)
    theirs = take(tmp_path)
    assert torch.equal(theirs.labels, ours.labels) and theirs.workers == 3
    (expected,), (found,) = (
        each.decoded_by(0).batches([torch.arange(9)], seed=5) for each in (ours, theirs)
    )
    assert torch.equal(found, expected)
    kept = ours.decoded_by(0).in_memory()[0]
    (tmp_path / "again").mkdir()
    leave(kept, tmp_path / "again")
    assert torch.equal(take(tmp_path / "again").images, kept.images)


def test_ranks_divide_the_processes_that_decode(photos):
    images = folder_images.load(image_folder.listing(photos), 32)[0]
    for workers, ranks, each in ((5, 2, 2), (1, 2, 1), (0, 2, 0), (4, 1, 4)):
        assert of_one_rank(images.decoded_by(workers), ranks).workers == each


@pytest.mark.slow
def test_two_processes_with_decoders_and_batch_normalisation_find_what_one_does(photos, records):
    make_deterministic("cpu", threads=1)
    folder = image_folder.describe(photos, 32)
    sizes = DataConfig(dataset="image_folder", folder=folder)
    training = TrainingConfig(batch_size=9, learning_rate=1e-4, max_epochs=2)
    config = TrialConfig(
        method=Vanilla(), data=sizes, training=training, start=None, model="resnet9_small"
    )
    read = folder_images.load(image_folder.listing(photos), 32, least_area=0.08)
    splits, _ = folder_images.keep(split(*read, sizes), False, workers=0, in_trials=2)
    data = prepare_data(splits, EvaluationConfig())
    assert data.training.least_area == 0.08 and data.training.workers == 2
    found = []
    for processes in (1, 2):
        trial = type(records)(records.folder / str(processes)).trial(config.trial_id)
        result = run_trial(config, data, None, trial, processes=processes)
        assert result.status == "max_epochs", result.reason
        found.append([entry["train_loss"] for entry in result.history])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_ranks_read_stylised_images_behind_the_others(photos, tmp_path):
    listing = image_folder.listing(photos)
    ours = folder_images.load(listing, 32, least_area=0.08)[0]
    stylised = folder_images.load(listing, 32)[0][torch.arange(0, 20, 3)]
    both = folder_images.FolderImages(
        Joined(ours.source, stylised.source), torch.cat([ours.labels, stylised.labels]), 32
    )
    leave(both, tmp_path)
    theirs, last = take(tmp_path), torch.arange(len(both) - 9, len(both))
    (expected,), (found,) = (each.batches([last]) for each in (both, theirs))
    assert torch.equal(found, expected) and torch.equal(theirs.labels, both.labels)
