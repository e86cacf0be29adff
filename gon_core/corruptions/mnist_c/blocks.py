"""A data set corrupted block by block: bounded memory, and the same result whole or in shards."""

import difflib

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import pad

from gon_core.corruptions.mnist_c.definitions import CORRUPTIONS, FUNCTIONS
from gon_core.corruptions.mnist_c.severities import (
    PUBLISHED_SEVERITY,
    SEVERITIES,
    STRENGTHS,
)
from gon_core.seeding import generator

BLOCK = 250
SIDE = 28


# `images` is checked inside: the caller of a public function gets a ValueError with the rule.
def corrupt(
    images: Tensor,
    name: str,
    seed: int,
    *,
    first: int = 0,
    severity: int = PUBLISHED_SEVERITY,
) -> UInt8[Tensor, "batch 28 28"]:
    """Corrupts MNIST images as the published MNIST-C test set does.

    Every block of 250 images has a generator of its own, seeded by (seed, name, block), and draws
    are always made for a whole block. So the result for an image depends on its index only:
    ``corrupt(x[:k], name, seed)`` is ``corrupt(x, name, seed)[:k]``, and shards that start at a
    multiple of 250 can be corrupted apart. Global random state is neither read nor changed.

    Args:
        images: uint8 [batch, 28, 28], grey levels from 0 to 255, on any device.
        name: One of `CORRUPTIONS`.
        seed: Of the whole set; the same seed gives the same images.
        first: Index of ``images[0]`` in the whole set, a multiple of 250.
        severity: An int from 1 to 5, an extension: 3 is the published set. All severities start
            from the same generators, so that they place an image's noise or movement alike.

    Returns:
        New images of the same shape on the same device. The draws and the arithmetic are the
        CPU's, so the device does not change them.

    Raises:
        ValueError: For an unknown name, a wrong dtype or shape, a wrong `first` or `severity`.

    References:
        Mu & Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019.
    """
    _check(images, name, first, severity)
    function, strength = FUNCTIONS[name], STRENGTHS[name][severity - 1]
    corrupted = torch.empty_like(images, device="cpu")
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK].cpu()
        whole = pad(block, (0, 0, 0, 0, 0, BLOCK - len(block)))
        draws = generator(seed, "mnist_c", name, (first + start) // BLOCK)
        result = function(whole.float() / 255, draws, **strength)[: len(block)]
        corrupted[start : start + BLOCK] = (result * 255).round_().clamp_(0, 255).to(torch.uint8)
    return corrupted.to(images.device)


def _check(images: Tensor, name: str, first: int, severity: int) -> None:
    if name not in FUNCTIONS:
        nearest = difflib.get_close_matches(str(name), CORRUPTIONS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"name must be one of {', '.join(CORRUPTIONS)}; got {name!r}, nearest is {nearest!r}"
        )
    if not isinstance(images, Tensor):
        raise ValueError(f"images must be a uint8 torch.Tensor, got {type(images).__name__}")
    if images.dtype != torch.uint8:
        raise ValueError(f"images must be uint8 (0 to 255), got {images.dtype}")
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"images must be [n, {SIDE}, {SIDE}], got {list(images.shape)}")
    # True and 3.0 equal a severity, but who passes them means something else.
    if type(severity) is not int or severity not in SEVERITIES:
        known = ", ".join(map(str, SEVERITIES))
        raise ValueError(f"severity must be one of {known}, got {severity!r}")
    if first < 0 or first % BLOCK:
        raise ValueError(f"first must be a non-negative multiple of {BLOCK}, got {first}")
