"""Models from elsewhere: torchvision's classifiers, and a function in a module of one's own.

Such a name comes from whoever types it, never from a record: it runs code.
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, nn

from gon_core.architectures import TORCHVISION, ImageShape
from gon_core.models.imagenet import backbone, drawing_from
from gon_core.names import nearest

MISTAKES = (Exception, SystemExit)  # whatever somebody's module raises; not a Ctrl-C


def make(
    name: str, classes: int, image_shape: ImageShape, generator: Generator | None
) -> nn.Module:
    """Return the model of a name, with new weights, on the CPU.

    Args:
        name: ``torchvision:NAME`` or ``module:function``; the function takes ``classes`` and
            returns a module that takes float images [batch, channel, height, width] in [0, 1].
        classes: how many it has.
        image_shape: channels, height and width of its images.
        generator: draws the initial weights; one that is seeded with 0 by default.

    Raises:
        ValueError: there is no such model, or it does not answer with one logit a class.
    """
    module, _, function = name.partition(":")
    if f"{module}:" == TORCHVISION:
        model: Any = _of_torchvision(function, classes, generator)
    else:
        model = _of_function(name, _found(module, function), classes, generator)
    _check(name, model, classes, image_shape)
    return model


def _of_torchvision(name: str, classes: int, generator: Generator | None) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(
            f"torchvision has no classifier {name!r}, nearest is {nearest(name, known)}"
        )
    return backbone(name, classes, generator)


def _found(module: str, function: str) -> Callable[..., Any]:
    if os.getcwd() not in sys.path:  # of a script it is the folder of the script
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function, None)
    except MISTAKES as error:
        raise ValueError(f"{module} cannot be imported ({_said(error)})") from error
    if not callable(found):
        raise ValueError(f"{module} has no function {function}")
    return found


def _of_function(
    name: str, function: Callable[..., Any], classes: int, generator: Generator | None
) -> nn.Module:
    try:
        with drawing_from(generator):
            model = function(classes=classes)
    except MISTAKES as error:
        raise ValueError(f"{name} raised {_said(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{name} must return an nn.Module, got {type(model).__name__}")
    return model


def _check(name: str, model: nn.Module, classes: int, image_shape: ImageShape) -> None:
    """Refuse a model that does not answer two images with one logit a class, in either mode."""
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    images = torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(0))
    size = " x ".join(map(str, image_shape))
    for is_training in (True, False):
        try:
            with torch.no_grad(), drawing_from(None):  # of its dropout
                answer = model.train(is_training)(images)
        except MISTAKES as error:
            raise ValueError(f"{name} fails on images of {size}: {_said(error)}") from error
        if not isinstance(answer, torch.Tensor):
            raise ValueError(f"{name} must return logits, got {type(answer).__name__}")
        if answer.shape != (2, classes):
            rule = f"must return {classes} logits an image, got {list(answer.shape[1:])}"
            raise ValueError(f"{name} {rule}")
    model.load_state_dict(state)  # with the running statistics that it began with
    model.train()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
