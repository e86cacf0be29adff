"""ResNet-152 that denoises its features: for adversarial training at ImageNet's scale."""

import math
import re
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gon_core.models.imagenet import Normalised, drawing_from

SMALL = 0.01  # standard deviation of new weights of the embeddings and of the last layer
CHANNELS = (256, 512, 1024, 2048)  # behind each of the four layers


class Denoising(nn.Module):
    """Adds to features their mean over all positions, weighted by how alike the positions are.

    References:
        Xie et al., "Feature denoising for improving adversarial robustness", 2019: non-local means
        with embedded Gaussian weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.phi = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        nn.init.normal_(self.theta.weight, std=SMALL)
        nn.init.normal_(self.phi.weight, std=SMALL)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.bn.weight)  # so that it begins as the identity

    def forward(
        self, features: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return the denoised features."""
        query, key, value = (
            each.flatten(2).transpose(1, 2)
            for each in (self.theta(features), self.phi(features), features)
        )
        # Weights are divided by the root of the embedding's width, as in the reference; a matrix of
        # all pairs of positions (3136 x 3136 in the first layer) is never made.
        mean = F.scaled_dot_product_attention(query, key, value)
        return features + self.bn(self.conv(mean.transpose(1, 2).reshape_as(features)))


class Same(nn.Module):
    """Pads as TensorFlow's "same", which the published weights were trained with, then goes on.

    The odd pixel of the padding lies at the right and at the bottom, not at the left and the top.

    Args:
        inner: a convolution or pooling of a square window, without padding of its own.
        value: of the padding.
    """

    def __init__(self, inner: nn.Conv2d | nn.MaxPool2d, value: float) -> None:
        super().__init__()
        self.inner, self.value = inner, value
        size, stride = inner.kernel_size, inner.stride
        self.size = size if isinstance(size, int) else size[0]
        self.stride = stride if isinstance(stride, int) else stride[0]

    def forward(
        self, features: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        """Return what the inner layer makes of the padded features."""
        sides = []
        for length in (features.shape[-1], features.shape[-2]):
            room = (math.ceil(length / self.stride) - 1) * self.stride + self.size - length
            sides += [max(0, room) // 2, max(0, room) - max(0, room) // 2]
        return self.inner(F.pad(features, sides, value=self.value))


class DenoisingNormalised(Normalised):
    """The classifier with its preprocessing: levels from -1 to 1."""

    mean, deviation = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights as they are, or of the plain ResNet-152 with new denoising blocks."""
        own = self.state_dict()
        plain = {_padded(name, own): tensor for name, tensor in state.items()}
        if any(".denoising." in name for name in plain):
            return plain
        return {n: t for n, t in own.items() if ".denoising." in n} | plain


def _padded(name: str, own: Mapping[str, Tensor]) -> str:
    if name in own:
        return name
    changed = name.replace("conv1.weight", "conv1.inner.weight", 1)
    if name != "conv1.weight":
        changed = name.replace("conv2.weight", "conv2.inner.weight")
    return changed if changed in own else name


def resnet152_denoising(classes: int, generator: Generator | None) -> DenoisingNormalised:
    """Return the model with new weights; see ``gon_core.models.imagenet.backbone``.

    One denoising block stands behind each of the four layers. The last batch normalisation of every
    residual block begins at 0, and the weights of the last layer are small.
    """
    from torchvision import models

    with drawing_from(generator):
        network: Any = models.resnet152(num_classes=classes, zero_init_residual=True)
        nn.init.normal_(network.fc.weight, std=SMALL)
        nn.init.zeros_(network.fc.bias)
        network.conv1.padding = (0, 0)
        network.conv1 = Same(network.conv1, 0.0)
        network.maxpool = Same(nn.MaxPool2d(3, 2), -math.inf)
        for number, channels in enumerate(CHANNELS, 1):
            layer = getattr(network, f"layer{number}")
            if number > 1:
                layer[0].conv2.padding = (0, 0)
                layer[0].conv2 = Same(layer[0].conv2, 0.0)
            layer.add_module("denoising", Denoising(channels))
    return DenoisingNormalised(network)


VARIABLE = re.compile(
    r"(?:group(?P<group>\d)/block(?P<block>\d+)/conv(?P<conv>[123]|shortcut)"
    r"|group(?P<denoised>\d)_denoise/(?P<part>embedding_theta|embedding_phi|conv)"
    r"|(?P<end>conv0|linear))"
    r"(?P<norm>/bn)?/(?P<kind>W|b|gamma|beta|mean/EMA|variance/EMA)(?::0)?"
)
KINDS = {
    "W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "mean/EMA": "running_mean",
    "variance/EMA": "running_var",
}  # fmt: skip


def from_tensorflow(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the published model under the names here.

    Args:
        arrays: TensorFlow's variables by name, for example ``group0/block2/conv1/W``; kernels are
            [height, width, in, out], and those of the first layer take blue, green, red.

    Raises:
        ValueError: a variable has no place here; names it.
    """
    found = {}
    for name, array in arrays.items():
        if (variable := VARIABLE.fullmatch(name)) is None:
            raise ValueError(f"{name} has no place in this model")
        if variable["kind"] == "W":
            array = array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T
        place = _place(variable)
        if place == "conv1.inner":
            array = array.flip(1)
        found[f"{place}.{KINDS[variable['kind']]}"] = array.contiguous()
    return found


def _place(variable: re.Match[str]) -> str:
    """Return the module here that a variable belongs to."""
    is_norm = variable["norm"] is not None
    if end := variable["end"]:
        return "fc" if end == "linear" else "bn1" if is_norm else "conv1.inner"
    if part := variable["part"]:
        own = part.removeprefix("embedding_")
        return f"layer{int(variable['denoised']) + 1}.denoising.{'bn' if is_norm else own}"
    group, block = int(variable["group"]), f"layer{int(variable['group']) + 1}.{variable['block']}"
    if variable["conv"] == "shortcut":
        return f"{block}.downsample.{int(is_norm)}"
    if is_norm:
        return f"{block}.bn{variable['conv']}"
    is_strided = group > 0 and variable["block"] == "0" and variable["conv"] == "2"
    return f"{block}.conv{variable['conv']}{'.inner' if is_strided else ''}"
