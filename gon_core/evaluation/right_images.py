"""Which images a model classifies right, kept so that two models can be compared image by image."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gon_core.comparison import PairedDifference, mcnemar_exact, paired_difference
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


def paired_over_images(first: RightImages, second: RightImages, measure: str) -> PairedDifference:
    """Return how much the second model's accuracy is above the first's, by a test over images.

    Args:
        first: the images that one model classifies right.
        second: the same of another model, on the same images.
        measure: ``clean``, with McNemar's exact p-value, or ``mean``: over the corruptions.
    """
    if measure != CLEAN:
        means = (mean_over_corruptions(right).tolist() for right in (first, second))
        return paired_difference(*(dict(enumerate(values)) for values in means))
    percents = ((100 * right[CLEAN].double()).tolist() for right in (first, second))
    paired = paired_difference(*(dict(enumerate(values)) for values in percents))
    only_first = int((first[CLEAN] & ~second[CLEAN]).sum())
    only_second = int((second[CLEAN] & ~first[CLEAN]).sum())
    return paired._replace(p_value=mcnemar_exact(only_first, only_second))
