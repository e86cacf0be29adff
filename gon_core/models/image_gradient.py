"""A first convolution whose gradient to the images takes a quarter of the time on a CPU."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def convolve(
    layer: nn.Module, images: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "batch feature height width"]:
    """Return ``layer(images)``; where images of one channel want a gradient, they get it quickly.

    Args:
        layer: an ``nn.Conv2d`` of stride 1, with a square kernel and the padding that keeps the
            images' size.
        images: of the layer's channels.
    """
    on_cpu = images.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if not images.requires_grad or not on_cpu or images.shape[1] > 1:
        return layer(images)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return _ImageGradient.apply(images, layer(images.detach()), weight.detach())


class _ImageGradient(torch.autograd.Function):
    """Passes ``features`` on; its gradient goes to them and, through the kernel, to the images.

    torch computes the latter for a vector's width of input channels and keeps one of them. As a
    matrix product there is one row for each of the kernel's taps, which then only has to be moved
    to its place. Gradients of the layer's weights are left to torch, so that they are computed
    where somebody wants them and only there.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, features: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return features.view_as(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:  # pyrefly: ignore[bad-override]
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        size = weight.shape[-1]
        batch, features, height, width = gradient.shape
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, features)
        taps = (weight.flatten(1).t() @ rows.t()).view(size, size, batch, height, width)
        padded = gradient.new_zeros(batch, height + size - 1, width + size - 1)
        for row in range(size):
            for column in range(size):
                padded[:, row : row + height, column : column + width] += taps[row, column]
        edge = size // 2
        inner = padded[:, edge : edge + height, edge : edge + width]
        return inner.unsqueeze(1).contiguous(), gradient, None
