"""Steps replayed as a whole do what they do one operation after the other, to the bit."""

import pytest
from torch import nn

from gon_core.config import ANT, TrainingConfig
from gon_core.models.madry_cnn import initialise
from gon_core.noise import augmentation_chains, sphere
from gon_core.seeding import generator
from gon_core.training import new_state
from gon_core.training.runner import GraphRunner
from tests.eager import use_eager_kernels
from tests.gon_core.training.tape import TapeRecorder
from tests.gon_core.training.test_every_method import EVERY, own, proceed

# The rate falls from step to step, by numbers that float32 has: 4 epochs of 4 steps.
CONFIG = TrainingConfig(batch_size=16, learning_rate=1 / 16, anneals=True, max_epochs=4)
IMAGES = 56
OFTEN = {"reset_interval": 0.5, "pretraining_steps": 2}  # more past generators with each epoch
CAPTURED = [
    method.model_copy(update=OFTEN) if isinstance(method, ANT) else method for method in EVERY
]


def classifier():
    """Return a small one whose normalisation has statistics."""
    model = nn.Sequential(
        nn.utils.skip_init(nn.Conv2d, 1, 4, 5, stride=3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.utils.skip_init(nn.Linear, 4 * 8 * 8, 10),
    )  # fmt: skip
    initialise(model, generator(0, "initial weights"))
    return model


def begin(method, config=CONFIG):
    count = IMAGES * 5 // 4 if own(method, 5) else IMAGES
    return new_state(classifier(), config, 0, method, own_images=own(method, count))


def graphs(recorder):
    return lambda state, data: GraphRunner(state, data, recorder)


@pytest.mark.parametrize("method", CAPTURED, ids=lambda method: method.variant)
def test_replayed_steps_are_the_steps(method, digits, monkeypatch):
    use_eager_kernels(monkeypatch)  # the compiler does not work under a dispatch mode
    monkeypatch.setattr(sphere, "FIXED_CALLS", 1)  # the others would do the same
    data = digits(IMAGES * 5 // 4 if own(method, 5) else IMAGES)
    recorder = TapeRecorder()
    with monkeypatch.context() as patch:
        patch.setattr(augmentation_chains, "picks_rows", lambda device: False)  # as on a GPU
        found = proceed(begin(method), data, method, CONFIG, runner=graphs(recorder))
    assert recorder.recorded >= 2 and recorder.replayed >= 8
    assert found == proceed(begin(method), data, method, CONFIG)
