"""The MNIST classifier of Rony et al., whose DDN training Table 6 has a row of."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gon_core.blank import blank

CONVOLUTIONS = {"conv1": (1, 32), "conv2": (32, 32), "conv3": (32, 64), "conv4": (64, 64)}


class RonyCNN(nn.Module):
    """Twice two 3x3 convolutions and max pooling, then twice 200 hidden units with dropout.

    The images go in as they are, in [0, 1]. Layers have the names of the published code, so that
    its state dicts fit.

    Args:
        generator: draws the initial weights; one that is seeded with 0 by default. Those of the
            last layer are 0, as its authors have them.

    References:
        Rony et al., "Decoupling direction and norm for efficient gradient-based l2 adversarial
        attacks and defenses", 2019; the network is that of Carlini and Wagner.
    """

    def __init__(self, generator: Generator | None = None) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential()
        for name, (inputs, outputs) in CONVOLUTIONS.items():
            self.feature_extractor.add_module(name, blank(nn.Conv2d, inputs, outputs, 3))
            self.feature_extractor.add_module(f"relu_{name}", nn.ReLU())
            if name in ("conv2", "conv4"):
                self.feature_extractor.add_module(f"pool_{name}", nn.MaxPool2d(2))
        self.classifier = nn.Sequential()
        self.classifier.add_module("fc1", blank(nn.Linear, 64 * 4 * 4, 200))
        self.classifier.add_module("relu1", nn.ReLU())
        self.classifier.add_module("drop", nn.Dropout(0.5))
        self.classifier.add_module("fc2", blank(nn.Linear, 200, 200))
        self.classifier.add_module("relu2", nn.ReLU())
        self.classifier.add_module("fc3", blank(nn.Linear, 200, 10))
        generator = generator if generator is not None else torch.Generator().manual_seed(0)
        self._initialise(generator)

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch label"]:
        """Return the logits of ``images`` in [0, 1]."""
        return self.classifier(self.feature_extractor(images).flatten(1))

    @torch.no_grad()
    def _initialise(self, generator: Generator) -> None:
        """Draw the weights of convolutions as He et al. do, others as torch does."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, generator=generator)
                assert layer.bias is not None
                layer.bias.zero_()
            elif isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        for parameter in self.classifier[-1].parameters():
            parameter.zero_()
