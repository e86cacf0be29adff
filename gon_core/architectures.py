"""The architectures that weights can be given for, by name.

Imports no torch, so that a name is refused before anything slow starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from gon_core.config import Architecture
from gon_core.names import nearest

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Description:
    """What a model takes and answers.

    Attributes:
        construct: returns the model on the CPU, with the same first weights each time if it is one
            for MNIST; takes [batch, *image_shape] in [0, 1] to logits [batch, classes].
        kind: what it classifies.
        classes: how many answers it has.
        image_shape: channels, height and width; ImageNet's models take other sizes, too.
    """

    construct: Callable[[], nn.Module]
    kind: Literal["mnist", "imagenet"]
    classes: int
    image_shape: tuple[int, int, int]


def describe(name: str) -> Description:
    """Return the description of a named architecture.

    Raises:
        ValueError: unknown name; says all of them and the nearest.
    """
    for known, description in ARCHITECTURES.items():
        if known == name:
            return description
    legal, hint = ", ".join(ARCHITECTURES), nearest(name, ARCHITECTURES)
    raise ValueError(f"architecture must be one of {legal}, got {name!r} ({hint}?)")


def _madry_cnn() -> nn.Module:
    from gon_core.models.madry_cnn import MadryCNN

    return MadryCNN()


def _wong_small() -> nn.Module:
    from gon_core.models.wong_cnn import wong_small

    return wong_small()


def _wong_large() -> nn.Module:
    from gon_core.models.wong_cnn import wong_large

    return wong_large()


def _on_mnist(construct: Callable[[], nn.Module]) -> Description:
    return Description(construct, "mnist", classes=10, image_shape=(1, 28, 28))


def _on_imagenet(name: str) -> Description:
    def construct() -> nn.Module:
        from gon_core.models.imagenet import backbone

        return backbone(name)

    return Description(construct, "imagenet", classes=1000, image_shape=(3, 224, 224))


ARCHITECTURES: Mapping[Architecture, Description] = MappingProxyType(
    {
        "madry_cnn": _on_mnist(_madry_cnn),
        "wong_small": _on_mnist(_wong_small),
        "wong_large": _on_mnist(_wong_large),
        "resnet18": _on_imagenet("resnet18"),
        "resnet50": _on_imagenet("resnet50"),
        "densenet121": _on_imagenet("densenet121"),
    }
)
"""Every architecture by its name."""
