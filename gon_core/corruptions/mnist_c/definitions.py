"""The fifteen corruptions of MNIST-C by name."""

from collections.abc import Callable

from torch import Tensor

from gon_core.corruptions.mnist_c.canny import canny_edges
from gon_core.corruptions.mnist_c.fog import fog
from gon_core.corruptions.mnist_c.geometry import rotate, scale, shear, translate
from gon_core.corruptions.mnist_c.glass_blur import glass_blur
from gon_core.corruptions.mnist_c.intensity import brightness, stripe
from gon_core.corruptions.mnist_c.lines import dotted_line, zigzag
from gon_core.corruptions.mnist_c.motion_blur import motion_blur
from gon_core.corruptions.mnist_c.noise import impulse_noise, shot_noise
from gon_core.corruptions.mnist_c.spatter import spatter

Corruption = Callable[..., Tensor]
"""Images [batch, height, width] in [0, 1], the source of all draws, strengths -> images."""

FUNCTIONS: dict[str, Corruption] = {
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brightness,
    "translate": translate,
    "stripe": stripe,
    "fog": fog,
    "spatter": spatter,
    "dotted_line": dotted_line,
    "zigzag": zigzag,
    "canny_edges": canny_edges,
}

CORRUPTIONS: tuple[str, ...] = tuple(FUNCTIONS)
"""The names in the order of the paper's tables."""
