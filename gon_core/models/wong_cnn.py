"""The MNIST classifiers of Wong et al., whose provable defence Table 6 has a row of."""

import torch
from torch import Generator, nn

from gon_core.blank import blank
from gon_core.models.madry_cnn import initialise


def wong_small(generator: Generator | None = None) -> nn.Sequential:
    """Return two strided convolutions and 100 hidden units: [batch, 1, 28, 28] -> logits.

    The layers are numbered as in the published code, whose models are plain sequences, so that
    their state dicts fit.

    Args:
        generator: draws the initial weights; one that is seeded with 0 by default.

    References:
        Wong & Kolter, "Provable defenses against adversarial examples via the convex outer
        adversarial polytope", 2018; Wong et al., "Scaling provable adversarial defenses", 2018.
    """
    layers = [
        _convolution(1, 16, 4, 2), nn.ReLU(), _convolution(16, 32, 4, 2), nn.ReLU(), nn.Flatten(),
        blank(nn.Linear, 32 * 7 * 7, 100), nn.ReLU(), blank(nn.Linear, 100, 10),
    ]  # fmt: skip
    return _initialised(layers, generator)


def wong_large(generator: Generator | None = None) -> nn.Sequential:
    """Return four convolutions and twice 512 hidden units; see ``wong_small``."""
    layers = [
        _convolution(1, 32, 3, 1), nn.ReLU(), _convolution(32, 32, 4, 2), nn.ReLU(),
        _convolution(32, 64, 3, 1), nn.ReLU(), _convolution(64, 64, 4, 2), nn.ReLU(), nn.Flatten(),
        blank(nn.Linear, 64 * 7 * 7, 512), nn.ReLU(), blank(nn.Linear, 512, 512),
        nn.ReLU(), blank(nn.Linear, 512, 10),
    ]  # fmt: skip
    return _initialised(layers, generator)


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    return blank(nn.Conv2d, inputs, outputs, size, stride=stride, padding=1)


def _initialised(layers: list[nn.Module], generator: Generator | None) -> nn.Sequential:
    model = nn.Sequential(*layers)
    initialise(model, generator if generator is not None else torch.Generator().manual_seed(0))
    return model
