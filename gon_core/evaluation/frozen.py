"""A classifier held still while it is attacked or measured."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in evaluation mode without gradients of its weights; then restore both.

    Each module gets back its own mode and each parameter its own ``requires_grad``, so that a
    model that was frozen in part stays as it was.
    """
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        model.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)
