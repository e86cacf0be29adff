"""Residual networks for small colour images: CIFAR-10's classifiers."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gon_core.blank import blank
from gon_core.models.madry_cnn import initialise

LARGE = 128  # pixels
# Of CIFAR-10's training images, by channel.
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class SmallResNet(nn.Module):
    """Normalises images in [0, 1], then runs a body and a linear layer on its pooled features.

    Args:
        body: from normalised images to features.
        features: channels of what the body returns.
        classes: how many there are.
        generator: draws the initial weights; one that is seeded with 0 by default.
        pool: from the body's last map to one value a channel.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        body: nn.Module,
        features: int,
        classes: int,
        generator: Generator | None,
        pool: Callable[[Tensor, int], Tensor] = F.adaptive_avg_pool2d,
    ) -> None:
        super().__init__()
        self.body = body
        self.logits = blank(nn.Linear, features, classes)
        self.pool = pool
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))
        self.to(memory_format=torch.channels_last)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch label"]:
        """Return the logits of ``images`` in [0, 1]."""
        features = self.body((images - self.mean) / self.deviation)
        return self.logits(self.pool(features, 1).flatten(1))


def resnet9_small(classes: int, generator: Generator | None = None) -> SmallResNet:
    """Return eight convolutions of at most 64 channels: some 100,000 parameters.

    Three stages with max pooling, the first and the last with a residual pair of convolutions.

    References:
        D. Page, "How to train your ResNet", 2018: his ResNet-9 has eight times the channels.
    """
    body = nn.Sequential(
        _convolved(3, 8),
        _convolved(8, 16), nn.MaxPool2d(2), _residual(16),
        _convolved(16, 32), nn.MaxPool2d(2),
        _convolved(32, 64), nn.MaxPool2d(2), _residual(64),
    )  # fmt: skip
    return SmallResNet(body, 64, classes, generator, F.adaptive_max_pool2d)


def preactresnet18(classes: int, generator: Generator | None = None, side: int = 32) -> SmallResNet:
    """Return the pre-activation ResNet-18: 64 to 512 channels.

    Its stem is CIFAR's, a 3 x 3 convolution; from ``LARGE`` pixels on it is ImageNet's, a 7 x 7
    convolution and a maximum that each halve the resolution.

    References:
        He et al., "Identity mappings in deep residual networks", 2016; Kireev et al., "On the
        effectiveness of adversarial training against common corruptions", 2022, train it.
    """
    blocks = _stages(64, (64, 128, 256, 512), (2, 2, 2, 2))
    stem = [_convolution(3, 64)]
    if side >= LARGE:
        wide = blank(nn.Conv2d, 3, 64, 7, stride=2, padding=3, bias=False)
        stem = [wide, nn.MaxPool2d(3, stride=2, padding=1)]
    return SmallResNet(nn.Sequential(*stem, *blocks, *_after(512)), 512, classes, generator)


def wrn_40_2(classes: int, generator: Generator | None = None) -> SmallResNet:
    """Return the wide ResNet of 40 layers, twice as wide: 32 to 128 channels.

    References:
        Zagoruyko & Komodakis, "Wide residual networks", 2016; AugMix trains it.
    """
    blocks = _stages(16, (32, 64, 128), (6, 6, 6))
    return SmallResNet(
        nn.Sequential(_convolution(3, 16), *blocks, *_after(128)), 128, classes, generator
    )


class _Sum(nn.Module):
    """Adds what layers return to what they were given."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        return images + self.layers(images)


class _PreActivation(nn.Module):
    """Two convolutions, each after batch normalisation and ReLU, added to their input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = _convolution(inputs, outputs, stride)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = blank(nn.Conv2d, inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        active = F.relu(self.norm1(images))
        kept = images if self.shortcut is None else self.shortcut(active)
        return kept + self.conv2(F.relu(self.norm2(self.conv1(active))))


def _residual(channels: int) -> _Sum:
    return _Sum(nn.Sequential(_convolved(channels, channels), _convolved(channels, channels)))


def _stages(inputs: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> list[nn.Module]:
    """Return the blocks of all stages; each stage but the first halves the resolution."""
    blocks: list[nn.Module] = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            blocks.append(_PreActivation(inputs, width, stride))
            inputs = width
    return blocks


def _after(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _convolved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU())


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    # torch's own first weights would be drawn from the global stream.
    return blank(nn.Conv2d, inputs, outputs, 3, stride=stride, padding=1, bias=False)
