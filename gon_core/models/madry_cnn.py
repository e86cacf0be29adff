"""The MNIST classifier of the paper: the architecture of Madry et al."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gon_core.blank import blank
from gon_core.models.image_gradient import convolve


class MadryCNN(nn.Module):
    """Two 5x5 convolutions (32 and 64 channels) with 2x2 max pooling, then 1024 hidden units.

    The images go in as they are, in [0, 1]: the paper applies no other preprocessing on MNIST
    (appendix B), so there is no normalisation inside.

    Args:
        generator: draws the initial weights; two models from equal generators are bit-identical.
            Defaults to a generator seeded with 0.
        classes: how many it has.
        image_shape: channels, height and width, the latter two at least 4.

    References:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", 2017;
        appendix B of the Game of Noise paper ("the same model architecture as [6]").
    """

    def __init__(
        self,
        generator: Generator | None = None,
        classes: int = 10,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        # torch's own first weights would be drawn from the global stream.
        self.conv1 = blank(nn.Conv2d, channels, 32, 5, padding=2)
        self.conv2 = blank(nn.Conv2d, 32, 64, 5, padding=2)
        self.hidden = blank(nn.Linear, (height // 4) * (width // 4) * 64, 1024)
        self.logits = blank(nn.Linear, 1024, classes)
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))
        self.to(memory_format=torch.channels_last)  # 1.2x faster on a CPU

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch label"]:
        """Return the logits of ``images`` in [0, 1]."""
        # ReLU and max commute; pooling first leaves a quarter of the values to rectify.
        x = F.relu(F.max_pool2d(convolve(self.conv1, images), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.logits(x)


@torch.no_grad()
def initialise(model: nn.Module, generator: Generator) -> None:
    """Draw the weights as torch's layers do by default, but from ``generator``, in place.

    Weights and biases are uniform within 1 / sqrt(inputs of a unit).
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)
