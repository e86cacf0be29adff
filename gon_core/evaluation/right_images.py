"""Which images a model classifies right, kept so that two models can be compared image by image."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gon_core.measurement import CLEAN

RightImages = Mapping[str, Bool[Tensor, " image"]]
"""By corruption, and under ``clean`` without one; the images in the order of their set."""


def dump(right: RightImages) -> bytes:
    """Return them as safetensors."""
    return save_tensors({name: images.contiguous() for name, images in right.items()})


def load(content: bytes) -> dict[str, Bool[Tensor, " image"]]:
    """Return what ``dump`` was given.

    Raises:
        ValueError: the content is not from ``dump``.
    """
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise ValueError(f"not a file of right images: {error}") from error
    shapes = {images.shape for images in tensors.values()}
    if len(shapes) != 1 or any(images.dtype != torch.bool for images in tensors.values()):
        raise ValueError("not a file of right images: all must be bool [image]")
    return tensors


def mean_over_corruptions(right: RightImages) -> Float[Tensor, " image"]:
    """Return for each image under how many percent of the corruptions it is classified right."""
    corrupted = [images.double() for name, images in right.items() if name != CLEAN]
    return 100 * torch.stack(corrupted).mean(0)
