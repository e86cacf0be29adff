"""Wong et al.'s classifiers against their published definition."""

import math

import pytest
import torch
from torch import nn

from gon_core.models.wong_cnn import wong_large, wong_small
from gon_core.seeding import generator

# Of each layer with weights: its number in the sequence and its weights' shape.
SHAPES = {
    wong_small: {0: (16, 1, 4, 4), 2: (32, 16, 4, 4), 5: (100, 1568), 7: (10, 100)},
    wong_large: {
        0: (32, 1, 3, 3), 2: (32, 32, 4, 4), 4: (64, 32, 3, 3), 6: (64, 64, 4, 4),
        9: (512, 3136), 11: (512, 512), 13: (10, 512),
    },
}  # fmt: skip
both = pytest.mark.parametrize("construct", SHAPES, ids=lambda construct: construct.__name__)


def textbook(construct):
    """Return the published sequence, with torch's own layers."""
    if construct is wong_small:
        return nn.Sequential(
            nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 7 * 7, 100), nn.ReLU(), nn.Linear(100, 10),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=1, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=1, padding=1), nn.ReLU(),
        nn.Conv2d(64, 64, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(),
        nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


def equal(a, b):
    """Whether two models have the same bits."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@both
def test_layers_are_numbered_as_in_the_published_state_dicts(construct):
    wanted = {f"{number}.weight": shape for number, shape in SHAPES[construct].items()}
    wanted |= {f"{number}.bias": shape[:1] for number, shape in SHAPES[construct].items()}
    assert {name: tuple(t.shape) for name, t in construct().state_dict().items()} == wanted


def test_the_sizes_of_wongs_models():
    # By hand: weights and biases of each layer.
    small = (16 * 16 + 16) + (16 * 16 * 32 + 32) + (32 * 49 * 100 + 100) + (100 * 10 + 10)
    large = (
        (9 * 32 + 32) + (16 * 32 * 32 + 32) + (9 * 32 * 64 + 64) + (16 * 64 * 64 + 64)
        + (64 * 49 * 512 + 512) + (512 * 512 + 512) + (512 * 10 + 10)
    )  # fmt: skip
    assert (small, large) == (166_406, 1_974_762)
    for model, size in ((wong_small(), small), (wong_large(), large)):
        assert sum(parameter.numel() for parameter in model.parameters()) == size


@both
def test_it_is_the_published_function(construct):
    model, published = construct(generator(0, "initial weights")), textbook(construct)
    published.load_state_dict(model.state_dict())
    images = torch.rand(5, 1, 28, 28, generator=generator(0, "images"))
    torch.testing.assert_close(model(images), published(images), rtol=1e-5, atol=1e-6)


@both
def test_initial_weights_are_uniform_within_one_over_root_inputs(construct):
    model = construct(generator(0, "initial weights"))
    for number, shape in SHAPES[construct].items():
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        for values in (model[number].weight.detach(), model[number].bias.detach()):
            assert values.abs().max() <= bound
            if values.numel() > 500:
                assert values.abs().max() > 0.99 * bound
                assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@both
def test_the_generator_alone_decides_the_weights(construct):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    seeded = construct(generator(3, "initial weights"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert equal(seeded, construct(generator(3, "initial weights")))
    assert not equal(seeded, construct(generator(4, "initial weights")))
    assert equal(construct(), construct(torch.Generator().manual_seed(0)))
