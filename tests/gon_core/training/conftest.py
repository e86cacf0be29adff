"""Small trainings on real digits."""

import pytest
import torch
from torch import nn

from gon_core import seeding
from gon_core.blank import blank
from gon_core.config import TrainingConfig, Vanilla
from gon_core.models.madry_cnn import initialise
from gon_core.training import METHODS, new_state, train


@pytest.fixture
def digits(mnist):
    """Return the first ``count`` training digits."""
    return lambda count: mnist[0][:count]


def softmax_regression(seed: int = 0) -> nn.Module:
    """Return the smallest classifier there is."""
    model = nn.Sequential(nn.Flatten(), blank(nn.Linear, 784, 10))
    stream = seeding.generator(seed, "initial weights")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.05, generator=stream)
    return model


@pytest.fixture(scope="session")
def small_state():
    """Return a function: a new state around a softmax regression."""
    return lambda config, seed=0, method=None, own_images=None: new_state(
        softmax_regression(seed), config, seed, method, own_images=own_images
    )


@pytest.fixture
def bits():
    """Return a function: a model's weights, to compare bit by bit."""
    return lambda model: [parameter.detach().clone() for parameter in model.parameters()]


class Witness(nn.Module):
    """A softmax regression from zero weights that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.linear = blank(nn.Linear, 784, 10)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return self.linear(images.flatten(1))


@pytest.fixture
def shown():
    """Return a function: what the classifier is shown in one step of ``method`` on ``data``."""

    def show(method, data, seed=0):
        config = TrainingConfig()
        state = new_state(Witness(), config, seed, method)
        images = data.images.float() / 255
        before = images.clone()
        METHODS[type(method)](method, config, data)(state, images, data.labels)
        assert torch.equal(images, before), "a step must not change its images"
        return state.model.seen

    return show


def small_cnn() -> nn.Module:
    """Return an untrained classifier that attacks and trainings take little time on."""
    model = nn.Sequential(
        blank(nn.Conv2d, 1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        blank(nn.Linear, 8 * 12 * 12, 10),
    )
    initialise(model, seeding.generator(0, "initial weights"))
    return model


@pytest.fixture
def untaught():
    """A small CNN from its first weights."""
    return small_cnn()


@pytest.fixture(scope="session")
def taught(mnist):
    """A small CNN that already knows most digits; copy it before training it on."""
    config = TrainingConfig(batch_size=50, learning_rate=0.05, max_epochs=4)
    model = small_cnn()
    list(train(new_state(model, config, 0), mnist[0][:1000], Vanilla(), config))
    return model.eval()
