"""The models by name: what is trained, and what weights can be given for.

Imports no torch, so that a name is refused before anything slow starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gon_core.names import nearest

if TYPE_CHECKING:
    from torch import Generator, nn

TORCHVISION = "torchvision:"
"""What the name of any classifier of torchvision begins with."""
ImageShape = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True)
class Description:
    """What a model takes and answers.

    Attributes:
        construct: takes the number of classes, the shape of the images, and the generator that
            draws the initial weights, or None for one that is seeded with 0; returns the model on
            the CPU. It takes images [batch, channel, height, width] in [0, 1] to logits
            [batch, class].
        classes: how many the published model has.
        image_shape: of the images that it was published for.
        any_classes: whether it can be made for another number of classes.
        any_shape: whether it takes images of another shape.
        least_side: height and width from which on it takes images of as many channels; None if it
            takes those of ``image_shape`` alone.
        is_slow: whether it takes seconds to import.
    """

    construct: Callable[[int, ImageShape, Generator | None], nn.Module]
    classes: int
    image_shape: ImageShape
    any_classes: bool = False
    any_shape: bool = False
    least_side: int | None = None
    is_slow: bool = False

    def fits(self, classes: int, image_shape: ImageShape) -> bool:
        """Return whether it can classify images of this shape into so many classes."""
        channels, *sides = image_shape
        is_large = self.least_side is not None and min(sides) >= self.least_side
        return (self.any_classes or self.classes == classes) and (
            self.any_shape
            or self.image_shape == image_shape
            or (channels == self.image_shape[0] and is_large)
        )


def describe(name: str) -> Description:
    """Return the description of a named model.

    Raises:
        ValueError: unknown name; says all of them and the nearest.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if is_from_outside(name):
        return _from_outside(name)
    legal, hint = ", ".join(ARCHITECTURES), nearest(name, ARCHITECTURES)
    raise ValueError(f"architecture must be one of {legal}, got {name!r} ({hint}?)")


def is_from_outside(name: str) -> bool:
    """Whether a name is ``torchvision:NAME`` or ``module:function``; nothing is imported."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None


def known(name: str) -> str:
    """Return a name in ``ARCHITECTURES``, or of a model from outside, as it is.

    Raises:
        ValueError: unknown name; says all of them and the nearest, for whoever adds what was given.
    """
    if name not in ARCHITECTURES and not is_from_outside(name):
        hint = nearest(name, ARCHITECTURES).strip("'")
        legal = f"{', '.join(ARCHITECTURES)}, {TORCHVISION}NAME or module:function"
        raise ValueError(f"must be one of {legal}; did you mean {hint}?")
    return name


def problem(name: str, classes: int, image_shape: ImageShape) -> str:
    """Return why a model cannot classify such images into so many classes; empty if it can.

    One from outside is made and tried out.
    """
    if is_from_outside(name):
        try:
            make(name, classes, image_shape)
        except ValueError as error:
            return str(error)
        return ""
    if describe(name).fits(classes, image_shape):
        return ""
    return f"must be one of {', '.join(fitting(classes, image_shape))}"


def fitting(classes: int, image_shape: ImageShape) -> tuple[str, ...]:
    """Return the names of the models for so many classes and images of this shape."""
    return tuple(name for name, found in ARCHITECTURES.items() if found.fits(classes, image_shape))


def make(
    name: str,
    classes: int | None = None,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> nn.Module:
    """Return a named model on the CPU.

    Args:
        name: one in ``ARCHITECTURES``.
        classes: how many it has; by default as many as it was published for.
        image_shape: channels, height and width of its images; by default as published.
        generator: draws the initial weights; one that is seeded with 0 by default.

    Raises:
        ValueError: unknown name, or the model is for other classes or images.
    """
    description = describe(name)
    classes = description.classes if classes is None else classes
    image_shape = description.image_shape if image_shape is None else image_shape
    if not description.fits(classes, image_shape):
        wanted = f"{classes} classes in images of {' x '.join(map(str, image_shape))}"
        legal = ", ".join(fitting(classes, image_shape)) or "none"
        raise ValueError(f"{name} is not for {wanted}; models that are: {legal}")
    return description.construct(classes, image_shape, generator)


def register(name: str, description: Description) -> None:
    """Add a model of your own; one of the same name is replaced.

    Processes that a sweep starts elsewhere must register it as well.
    """
    ARCHITECTURES[name] = description


def _madry_cnn(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.madry_cnn import MadryCNN

    return MadryCNN(generator, classes, image_shape)


def _wong_small(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.wong_cnn import wong_small

    return wong_small(generator)


def _wong_large(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.wong_cnn import wong_large

    return wong_large(generator)


def _rony_cnn(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.rony_cnn import RonyCNN

    return RonyCNN(generator)


def _of_cifar(name: str) -> Description:
    def construct(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
        from gon_core.models import small_resnets

        return getattr(small_resnets, name)(classes, generator)

    return Description(construct, 10, (3, 32, 32), any_classes=True, least_side=32)


def _preactresnet18(
    classes: int, image_shape: ImageShape, generator: Generator | None
) -> nn.Module:
    from gon_core.models.small_resnets import preactresnet18

    return preactresnet18(classes, generator, min(image_shape[1:]))


def _from_outside(name: str) -> Description:
    def construct(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
        from gon_core.models import outside

        return outside.make(name, classes, image_shape, generator)

    return Description(
        construct, 1000, (3, 224, 224), any_classes=True, any_shape=True, is_slow=True
    )


def _of_torchvision(name: str, least_side: int = 32) -> Description:
    def construct(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
        from gon_core.models.imagenet import backbone

        return backbone(name, classes, generator)

    return _of_imagenet(construct, least_side)


def _inception(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.imagenet import inception_v3

    return inception_v3(classes, generator)


def _antialiased(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.antialiased import resnet50_antialiased

    return resnet50_antialiased(classes, generator)


def _denoising(classes: int, image_shape: ImageShape, generator: Generator | None) -> nn.Module:
    from gon_core.models.denoising import resnet152_denoising

    return resnet152_denoising(classes, generator)


def _of_imagenet(construct: Callable, least_side: int = 32, side: int = 224) -> Description:
    return Description(
        construct, 1000, (3, side, side), any_classes=True, least_side=least_side, is_slow=True
    )


DIGITS: ImageShape = (1, 28, 28)
ARCHITECTURES = {
    "madry_cnn": Description(_madry_cnn, 10, DIGITS, any_classes=True, any_shape=True),
    "wong_small": Description(_wong_small, 10, DIGITS),
    "wong_large": Description(_wong_large, 10, DIGITS),
    "rony_cnn": Description(_rony_cnn, 10, DIGITS),
    "resnet9_small": _of_cifar("resnet9_small"),
    "preactresnet18": Description(
        _preactresnet18, 10, (3, 32, 32), any_classes=True, least_side=32
    ),
    "wrn_40_2": _of_cifar("wrn_40_2"),
    "resnet18": _of_torchvision("resnet18"),
    "resnet50": _of_torchvision("resnet50"),
    "resnet152": _of_torchvision("resnet152"),
    "alexnet": _of_torchvision("alexnet", least_side=64),
    "densenet121": _of_torchvision("densenet121"),
    "inception_v3": _of_imagenet(_inception, least_side=75, side=299),
    "resnet50_antialiased": _of_imagenet(_antialiased, least_side=64),
    "resnet152_denoising": _of_imagenet(_denoising),
}
"""Every model by its name. To add one, write its file and name it here."""
OF_IMAGENET = tuple(name for name, found in ARCHITECTURES.items() if found.classes == 1000)
