"""The noise generator: a small network that turns Gaussian noise into adversarial noise."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gon_core.blank import blank
from gon_core.noise.share import EVERY_ROW

WIDTH = 20
DEPTHS = range(1, 9)
KERNEL_SIZES = (1, 3)
INITIAL_DEVIATION = 0.01
PIXELS = 8192
"""Pixels that go through all layers together on a CPU: their activations fit into the cache."""


class NoiseGenerator(nn.Module):
    """Convolutions of width 20 with ReLU between, added to the noise that goes in.

    The image is not an input. With kernels of size 1 pixels stay independent of each other; with
    ``kernel_size`` 3 the second layer, and it alone, mixes 3x3 pixels without padding, so that its
    input is two pixels larger than the images. At the start the output is nearly the input.

    Args:
        channels: of the images, >= 1.
        depth: number of convolutions, 1 to 8.
        kernel_size: of the second layer, 1 or 3; 3 takes a depth of at least 2.
        generator: draws the initial weights, N(0, 0.01^2); biases start at 0. Two networks from
            equal generators are bit-identical. Defaults to a generator seeded with 0.

    Raises:
        ValueError: an argument out of range; the message names all of them.

    References:
        Tables 1 and 2 (appendix A); table 11 for depths other than 4, which has 1x1 alone.
    """

    def __init__(
        self,
        channels: int = 3,
        depth: int = 4,
        kernel_size: int = 1,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check(channels, depth, kernel_size)
        self.channels, self.depth, self.kernel_size = channels, depth, kernel_size
        self.margin = kernel_size // 2
        widths = [channels, *[WIDTH] * (depth - 1), channels]
        sizes = [kernel_size if index == 1 else 1 for index in range(depth)]
        # torch's own first weights would be drawn from the global stream.
        self.layers = nn.ModuleList(
            blank(nn.Conv2d, *layer) for layer in zip(widths, widths[1:], sizes, strict=False)
        )
        initialise(self, generator if generator is not None else torch.Generator().manual_seed(0))

    def forward(
        self, noise: Float[Tensor, "batch channel larger_height larger_width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return what ``noise`` from N(0, 1) becomes; 3x3 takes one more pixel at each edge."""
        height, width = noise.shape[2:]
        count = PIXELS // (height * width) if noise.device.type == "cpu" else len(noise)
        through = self._by_columns if self.kernel_size == 1 else self._by_rows
        x = torch.cat([through(part) for part in noise.split(max(1, count))])
        rows, columns = (slice(self.margin, self.margin + size) for size in x.shape[2:])
        return noise[:, :, rows, columns] + x

    def _by_columns(self, noise: Tensor) -> Tensor:
        # A 1x1 convolution is a matrix product over pixels, fastest where these are columns. In
        # two dimensions all along, so that ReLU needs no memory of its own.
        x = noise.transpose(0, 1).flatten(1)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            if index:
                x = x.relu_()
            x = torch.addmm(layer.bias[:, None], layer.weight.flatten(1), x)
        batch, channels, height, width = noise.shape
        return x.view(channels, batch, height, width).transpose(0, 1)

    def _by_rows(self, noise: Tensor) -> Tensor:
        # The order in which torch's 3x3 convolution is fastest has pixels as rows.
        x = noise.permute(0, 2, 3, 1)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Conv2d)
            if index:
                x = F.relu(x)
            if layer.kernel_size == (1, 1):
                x = F.linear(x, layer.weight.flatten(1), layer.bias)
            else:
                x = layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x.permute(0, 3, 1, 2)

    def sample(
        self,
        images: Float[Tensor, "batch channel height width"],
        generator: Generator,
        rows: slice = EVERY_ROW,
    ) -> Float[Tensor, "row channel height width"]:
        """Return fresh noise of the shape, type and device of ``images``.

        Args:
            images: only their shape, type and device are read.
            generator: source of the N(0, 1) that goes in, on the images' device; it draws for
                every image.
            rows: for which images to return noise.
        """
        batch, channels, height, width = images.shape
        shape = (batch, channels, height + 2 * self.margin, width + 2 * self.margin)
        return self(images.new_empty(shape).normal_(0.0, 1.0, generator=generator)[rows])


def check(channels: int, depth: int, kernel_size: int) -> None:
    """Raise ValueError with all that is wrong with a generator's arguments."""
    problems = []
    if channels < 1:
        problems.append(f"channels must be >= 1, got {channels}")
    if depth not in DEPTHS:
        problems.append(f"depth must be from {DEPTHS[0]} to {DEPTHS[-1]}, got {depth}")
    if kernel_size not in KERNEL_SIZES:
        problems.append(f"kernel_size must be 1 or 3, got {kernel_size}")
    if depth == 1 and kernel_size == 3:
        problems.append(
            "kernel_size 3 takes a depth of at least 2: the second layer is the 3x3 one"
        )
    if problems:
        raise ValueError("; ".join(problems))


@torch.no_grad()
def initialise(network: NoiseGenerator, generator: Generator) -> None:
    """Draw the weights from N(0, 0.01^2) and set the biases to 0, in place."""
    for layer in network.layers:
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        layer.weight.normal_(0.0, INITIAL_DEVIATION, generator=generator)
        layer.bias.zero_()
