"""Photos under a corruption at a severity, image by image the same in any batch."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gon_core.corruptions.photos import frost as frost_photos
from gon_core.corruptions.photos.blur import defocus_blur, gaussian_blur
from gon_core.corruptions.photos.colour import brightness, contrast, saturate
from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.elastic_transform import elastic_transform
from gon_core.corruptions.photos.frost import frost
from gon_core.corruptions.photos.glass_blur import glass_blur
from gon_core.corruptions.photos.jpeg_compression import (
    PUBLISHED_QUALITY,
    jpeg_compression,
    through_jpeg,
)
from gon_core.corruptions.photos.levels import to_levels
from gon_core.corruptions.photos.motion_blur import motion_blur
from gon_core.corruptions.photos.noise import (
    gaussian_noise,
    impulse_noise,
    shot_noise,
    speckle_noise,
)
from gon_core.corruptions.photos.pixelate import pixelate
from gon_core.corruptions.photos.spatter import spatter
from gon_core.corruptions.photos.strengths import STRENGTHS
from gon_core.corruptions.photos.weather import fog, snow
from gon_core.corruptions.photos.zoom_blur import zoom_blur

Corruption = Callable[..., Tensor]
"""Images [batch, 3, height, width] in [0, 1], their draws, strengths -> images; or all in uint8."""

FUNCTIONS: dict[str, Corruption] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The four that the authors of ImageNet-C keep for choosing hyper-parameters."""
CORRUPTIONS = tuple(name for name in FUNCTIONS if name not in EXTRA)
"""The fifteen of every published mean, in the order of the paper's tables."""
ON_LEVELS = ("pixelate", "jpeg_compression")  # they take and return uint8
SEVERITIES = (1, 2, 3, 4, 5)
CACHED_PIXELS = 2**16  # at a time on a CPU, so that they stay in its cache


# `images` is checked inside: the caller of a public function gets a ValueError with the rule.
def corrupt(
    images: Tensor,
    name: str,
    severity: int,
    seed: int,
    indices: Sequence[int] | None = None,
    jpeg: bool = False,
    frost_dir: Path | None = None,
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return photos under a corruption, as ImageNet-C or CIFAR-10-C has them.

    Every image has a random stream of its own, so that it is the same alone or in any batch. A GPU
    draws other numbers than a CPU. Global random state is neither read nor changed.

    Args:
        images: uint8 [batch, 3, side, side], on any device; the side is one of ``STRENGTHS``.
        name: one of ``CORRUPTIONS`` or ``EXTRA``.
        severity: an int from 1 to 5.
        seed: of the whole set; the same seed gives the same images.
        indices: which images of the whole set these are; 0, 1, ... by default.
        jpeg: whether to store the result as JPEG of quality 85 and read it again, as the published
            images of ImageNet-C are.
        frost_dir: the folder of the frost photos; by default those of ``imagecorruptions-imaug``.

    Returns:
        New images of the same shape on the same device.

    Raises:
        ValueError: unknown name or severity, wrong type, shape or number of indices, or there are
            no frost photos.

    References:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
        Perturbations, 2019.
    """
    _check(images, name, severity, indices)
    strength: tuple = STRENGTHS[images.shape[-1]][name][severity - 1]
    if name == "frost":
        strength = (*strength, _frost_folder(frost_dir))
    if name in ON_LEVELS:  # image by image, and nothing is drawn
        corrupted = FUNCTIONS[name](
            images, Draws(seed, name, severity, (), images.device), *strength
        )
        return through_jpeg(corrupted, PUBLISHED_QUALITY) if jpeg else corrupted
    numbers = range(len(images)) if indices is None else indices
    together = max(1, len(images))
    if images.device.type == "cpu":
        together = max(1, CACHED_PIXELS // images.shape[-1] ** 2)
    corrupted = torch.empty_like(images)
    for first in range(0, len(images), together):
        part = slice(first, first + together)
        draws = Draws(seed, name, severity, numbers[part], images.device)
        values = FUNCTIONS[name](images[part].float() / 255, draws, *strength)
        corrupted[part] = to_levels(values)
    return through_jpeg(corrupted, PUBLISHED_QUALITY) if jpeg else corrupted


def _check(images: Tensor, name: str, severity: int, indices: Sequence[int] | None) -> None:
    if name not in FUNCTIONS:
        nearest = difflib.get_close_matches(str(name), FUNCTIONS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"name must be one of {', '.join(FUNCTIONS)}; got {name!r}, nearest is {nearest!r}"
        )
    # True and 3.0 equal a severity, but who passes them means something else.
    if type(severity) is not int or severity not in SEVERITIES:
        known = ", ".join(map(str, SEVERITIES))
        raise ValueError(f"severity must be one of {known}, got {severity!r}")
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images must be a uint8 tensor (0 to 255), got {kind}")
    sides = ", ".join(map(str, STRENGTHS))
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images must be [n, 3, side, side], got {list(images.shape)}")
    if images.shape[-1] not in STRENGTHS:
        raise ValueError(f"the side of images must be one of {sides}, got {images.shape[-1]}")
    if indices is not None and len(indices) != len(images):
        raise ValueError(f"indices must be {len(images)} numbers, got {len(indices)}")


def _frost_folder(given: Path | None) -> Path:
    found = frost_photos.folder(given)
    if found is None:
        raise ValueError(
            "frost needs frost photos: install imagecorruptions-imaug, or name their folder"
        )
    return found
