"""Layers that are made without drawing from any stream."""

import pytest
import torch
from torch import nn

from gon_core.blank import blank


@pytest.mark.parametrize("inside", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("kind", "arguments", "keywords"),
    [
        (nn.Linear, (7, 3), {}),
        (nn.Conv2d, (2, 4, 3), {"padding": 1, "bias": False}),
        (nn.Conv2d, (2, 4, 3), {"stride": 2}),
    ],
)
def test_it_is_the_layer_of_torch_on_the_cpu(kind, arguments, keywords, inside):
    before = torch.get_rng_state()
    with torch.device(inside):
        layer = blank(kind, *arguments, **keywords)
    assert torch.equal(torch.get_rng_state(), before)
    expected = nn.utils.skip_init(kind, *arguments, **keywords)
    assert type(layer) is kind and repr(layer) == repr(expected)
    pairs = zip(layer.named_parameters(), expected.named_parameters(), strict=True)
    for (name, parameter), (wanted, like) in pairs:
        assert name == wanted and parameter.shape == like.shape and parameter.requires_grad
        assert (parameter.device, parameter.dtype) == (like.device, like.dtype)


def test_what_would_be_without_values_is_refused():
    with pytest.raises(AssertionError, match="buffer"):
        blank(nn.BatchNorm2d, 4)
