"""A trial small enough to train in a second."""

import pytest
import torch

from gon_core import architectures
from gon_core.config import (
    GNT,
    DataConfig,
    EvaluationConfig,
    StartConfig,
    TrainingConfig,
    TrialConfig,
)
from gon_core.data import idx
from gon_core.data.splits import split
from gon_core.training import checkpoints
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.trials.measures import prepare_data
from sweeps.engine.trials.trial import make_deterministic

DATA = DataConfig(training_images=300, validation_images=30, test_images=20)
TRAINING = TrainingConfig(batch_size=100, learning_rate=0.02, max_epochs=3)


@pytest.fixture(scope="session")
def images():
    return idx.load("mnist")


@pytest.fixture(scope="session")
def data(images):
    make_deterministic("cpu", threads=1)
    return prepare_data(split(*images, DATA), EvaluationConfig())


@pytest.fixture(scope="module")
def start_weights():
    """Of the model that the file's trials train: the small one where it asks for that."""
    generator = torch.Generator().manual_seed(7)
    return checkpoints.dump_model(architectures.make("madry_cnn", generator=generator))


@pytest.fixture(scope="session")
def config():
    return TrialConfig(
        method=GNT(sigma=0.5),
        data=DATA,
        training=TRAINING,
        start=StartConfig(data=DATA, training=TRAINING),
    )


@pytest.fixture
def records(tmp_path):
    return SweepRecords(Folder(str(tmp_path / "sweep")))
