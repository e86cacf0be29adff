"""Models with batch normalisation, on colour images: only training steps change statistics."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from gon_core import seeding
from gon_core.blank import blank
from gon_core.config import TrainingConfig
from gon_core.models.madry_cnn import initialise
from gon_core.training import METHODS, ant, checkpoints, new_state
from tests.gon_core.training.test_every_method import EVERY_METHOD

CONFIG = TrainingConfig(batch_size=8, learning_rate=0.05)
IMAGES = torch.rand(8, 3, 16, 16, generator=seeding.generator(0, "images"))
LABELS = torch.arange(8) % 5


def normalised():
    """Return a small classifier of 3 x 16 x 16 pixels and five classes."""
    model = nn.Sequential(
        blank(nn.Conv2d, 3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        blank(nn.Linear, 4 * 14 * 14, 5),
    )  # fmt: skip
    initialise(model, seeding.generator(0, "initial weights"))
    return model


@pytest.fixture
def new(digits):
    """Return a function: a state, and its step."""
    data = replace(digits(8), labels=LABELS)  # only where it is stored matters here

    def new(method):
        state = new_state(normalised(), CONFIG, 0, method, channels=3, own_images=7)
        return state, partial(METHODS[type(method)](method, CONFIG, data), state, IMAGES, LABELS)

    return new


@EVERY_METHOD
def test_only_the_classifiers_own_step_changes_running_statistics(method, new):
    state, step = new(method)
    statistics = state.model[1]
    for count in (1, 2):
        logits, *_ = step()
        passes = count * getattr(method, "replays", 1)  # of which each updates the weights
        rows = 7 if state.second else 8
        assert statistics.num_batches_tracked == passes and logits.shape == (rows, 5)
    assert statistics.running_var.ne(1).all()


@EVERY_METHOD
def test_a_checkpoint_holds_the_running_statistics(method, new):
    state, step = new(method)
    step()
    taken = checkpoints.dump(state)
    step()
    expected = checkpoints.dump(state)
    again, step_again = new(method)
    checkpoints.restore(again, taken)
    step_again()
    assert checkpoints.dump(again) == expected


def test_a_generator_step_leaves_running_statistics_alone(new):
    method = ant.ANT(epsilon=2)
    state, _ = new(method)
    before = [each.clone() for each in state.model.buffers()]
    state.model.train()
    ant.ascend(state, ant.opponent_of(state), IMAGES, LABELS, bf16=False)
    assert all(map(torch.equal, before, state.model.buffers())) and state.model.training
