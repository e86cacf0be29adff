"""ResNet-50 whose strides are blurred, so that a shift of the image changes its features less."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gon_core.models.imagenet import Normalised, drawing_from

BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)  # the filter of the model in the paper's tables


class Blur(nn.Module):
    """A binomial filter on each channel, then every second pixel.

    The border is mirrored without repeating the edge.
    """

    filt: Tensor  # as in the published weights

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor(BINOMIAL) / sum(BINOMIAL)
        kernel = torch.outer(row, row).expand(channels, 1, -1, -1).contiguous()
        self.register_buffer("filt", kernel)

    def forward(
        self, features: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel half_height half_width"]:
        """Return the blurred features at half of the resolution, rounded up."""
        padded = F.pad(features, [len(BINOMIAL) // 2] * 4, mode="reflect")
        return F.conv2d(padded, self.filt, stride=2, groups=len(self.filt))


class AntiAliased(Normalised):
    """torchvision's ResNet-50 with a blur before each of its strides but the first.

    The first convolution keeps its stride. The maximum of 3x3 with stride 2 becomes one of 2x2 with
    stride 1 and a blur; in the first block of layers 2 to 4 the strided convolution loses its
    stride, and a blur stands before the last one, and before that of the shortcut. There are no
    further weights: those of the plain model load into it.

    References:
        Zhang, "Making convolutional networks shift-invariant again", 2019: Bin-5. "Shift Inv" in
        the paper's Tables 4 and 5.
    """

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights of the plain model, or of this one, under this one's names."""
        own = self.state_dict()
        found = {_renamed(name, own): tensor for name, tensor in state.items()}
        filters = {name: tensor for name, tensor in own.items() if name.endswith(".filt")}
        return filters | found


def _renamed(name: str, own: Mapping[str, Tensor]) -> str:
    """Return the name here of a tensor of the plain model: behind a blur the number is one more."""
    layer, _, rest = name.partition(".0.")
    if name in own and not rest.startswith("downsample.1."):
        return name
    renamed = {
        "conv3.weight": "conv3.1.weight",
        "downsample.0.weight": "downsample.1.weight",
        **{f"downsample.1.{key}": f"downsample.2.{key}" for key in
           ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")},
    }.get(rest, rest)  # fmt: skip
    changed = f"{layer}.0.{renamed}"
    return changed if changed in own else name


def resnet50_antialiased(classes: int, generator: Generator | None) -> AntiAliased:
    """Return the model with new weights; see ``gon_core.models.imagenet.backbone``."""
    from torchvision import models

    with drawing_from(generator):
        network: Any = models.resnet50(weights=None, num_classes=classes)  # its layers are replaced
    network.maxpool = nn.Sequential(nn.MaxPool2d(2, stride=1), Blur(64))
    for layer in (network.layer2, network.layer3, network.layer4):
        block = layer[0]
        block.conv2.stride = (1, 1)
        block.conv3 = nn.Sequential(Blur(block.conv3.in_channels), block.conv3)
        shortcut, normalisation = block.downsample
        shortcut.stride = (1, 1)
        block.downsample = nn.Sequential(Blur(shortcut.in_channels), shortcut, normalisation)
    return AntiAliased(network)
