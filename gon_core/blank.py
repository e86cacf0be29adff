"""Layers whose weights are not drawn."""

from typing import Any, TypeVar

import torch
from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


def blank(kind: type[Layer], *arguments: Any, **keywords: Any) -> Layer:
    """Return a layer whose parameters have any values, in float32 on the CPU.

    It does what ``torch.nn.utils.skip_init`` does, without sympy: that imports it with its first
    layer, which takes half a second of each process, and longer where its files are not at hand.

    Args:
        kind: of the layer; it has parameters alone, and no buffers.
        arguments, keywords: the layer's own.
    """
    layer = kind(*arguments, device="meta", **keywords)
    assert not [*layer.buffers()], "a buffer would have no values"
    for name, parameter in layer.named_parameters():
        assert "." not in name, "of a layer in a layer"
        layer.register_parameter(name, nn.Parameter(torch.empty(parameter.shape, device="cpu")))
    return layer
