"""The kinds of noise whose sizes are compared: samples of which only the direction matters."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor


@runtime_checkable
class Sample(Protocol):
    """Draws noise of any size for images; ``NoiseGenerator.sample`` is one."""

    def __call__(
        self, images: Float[Tensor, "batch channel height width"], generator: Generator
    ) -> Float[Tensor, "batch channel height width"]:
        """Return noise of the images' shape; ``generator`` is on their device."""
        ...


@dataclass(frozen=True)
class Noise:
    """A kind of noise by its name.

    Attributes:
        name: what reports call it.
        sample: draws it.
    """

    name: str
    sample: Sample


def gaussian(
    images: Float[Tensor, "batch channel height width"], generator: Generator
) -> Float[Tensor, "batch channel height width"]:
    """Return N(0, 1) in every pixel."""
    return torch.empty_like(images).normal_(generator=generator)


def uniform(
    images: Float[Tensor, "batch channel height width"], generator: Generator
) -> Float[Tensor, "batch channel height width"]:
    """Return U(-1, 1) in every pixel."""
    return torch.empty_like(images).uniform_(-1.0, 1.0, generator=generator)


def speckle(
    images: Float[Tensor, "batch channel height width"], generator: Generator
) -> Float[Tensor, "batch channel height width"]:
    """Return the images times N(0, 1): black pixels never change, so sizes are limited."""
    return torch.empty_like(images).normal_(generator=generator).mul_(images)


@runtime_checkable
class Directions(Protocol):
    """One direction of noise for each image of a set."""

    def of(
        self, index: Int64[Tensor, " batch"], images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Return those of some images, which are given with their numbers in the set."""
        ...


@dataclass(frozen=True)
class KeptDirections:
    """Directions that were drawn once, for small images."""

    drawn: Float[Tensor, "image channel height width"]

    def of(
        self, index: Int64[Tensor, " batch"], images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """See ``Directions``."""
        return self.drawn[index]


@dataclass(frozen=True)
class RedrawnDirections:
    """Directions that are drawn whenever they are wanted, for large images: each by its own seed.

    Attributes:
        noise: of which kind.
        seeds: one for each image.
    """

    noise: Noise
    seeds: Int64[Tensor, " image"]

    def of(
        self, index: Int64[Tensor, " batch"], images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """See ``Directions``."""
        stream = Generator(images.device)
        drawn = [
            self.noise.sample(images[place : place + 1], stream.manual_seed(seed))
            for place, seed in enumerate(self.seeds[index].tolist())
        ]
        return torch.cat([images[:0], *drawn])


NOISES = {
    "gaussian": Noise("gaussian", gaussian),
    "uniform": Noise("uniform", uniform),
    "speckle": Noise("speckle", speckle),
}
"""The noises that need no training; for the others see ``adversarial_noise``."""
