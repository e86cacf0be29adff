"""Example images with noise of the size epsilon*, as in Fig. 4 of the paper."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import UInt8
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Generator, Tensor

from gon_core.evaluation.noise_directions import Noise
from gon_core.measurement import CLEAN
from gon_core.noise import scale_to_sphere

SAMPLES = 3

Perturbed = dict[str, UInt8[Tensor, "sample channel height width"]]
"""The same images by the name of the noise, and as they are under ``clean``; grey levels 0..255."""


@torch.no_grad()
def perturb(
    images: UInt8[Tensor, "image channel height width"],
    noises: Mapping[str, Noise],
    sizes: Mapping[str, float],
    stream: Generator,
) -> Perturbed:
    """Return the first images with noise of a size each.

    Args:
        images: grey levels 0..255.
        noises: by name.
        sizes: l2 norm on images in [0, 1] by the same names; a noise of infinite size is left out.
        stream: source of the noise, on the images' device.
    """
    clean = images[:SAMPLES].float().div(255)
    found = {CLEAN: images[:SAMPLES].cpu()}
    for name, noise in noises.items():
        directions = noise.sample(clean, stream)
        if math.isfinite(sizes[name]) and sizes[name] > 0:
            noisy = scale_to_sphere(clean, directions, sizes[name])
            found[name] = (noisy * 255).round().to(torch.uint8).cpu()
    return found


def dump(perturbed: Perturbed) -> bytes:
    """Return the images as safetensors."""
    return save_tensors({name: images.contiguous() for name, images in perturbed.items()})


def load(content: bytes) -> Perturbed:
    """Return what ``dump`` was given.

    Raises:
        SafetensorError, ValueError: the content is not from ``dump``.
    """
    tensors = load_tensors(content)
    faulty = [name for name, images in tensors.items() if images.dtype != torch.uint8]
    if faulty or CLEAN not in tensors:
        raise ValueError(f"not perturbed images: {', '.join(faulty) or CLEAN + ' is missing'}")
    return tensors
