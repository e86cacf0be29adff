"""Small trainings on real digits."""

import pytest
import torch
from torch import nn

from gon_core import seeding
from gon_core.training import new_state


@pytest.fixture
def digits(mnist):
    """Return the first ``count`` training digits."""
    return lambda count: mnist[0][:count]


def softmax_regression(seed: int = 0) -> nn.Module:
    """Return the smallest classifier there is."""
    model = nn.Sequential(nn.Flatten(), nn.utils.skip_init(nn.Linear, 784, 10))
    stream = seeding.generator(seed, "initial weights")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.05, generator=stream)
    return model


@pytest.fixture(scope="session")
def small_state():
    """Return a function: a new state around a softmax regression."""
    return lambda config, seed=0, method=None: new_state(
        softmax_regression(seed), config, seed, method
    )


@pytest.fixture
def bits():
    """Return a function: a model's weights, to compare bit by bit."""
    return lambda model: [parameter.detach().clone() for parameter in model.parameters()]
