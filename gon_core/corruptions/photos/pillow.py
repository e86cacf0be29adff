"""Pillow on a batch, image by image."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def each(
    images: UInt8[Tensor, "batch 3 height width"], change: Callable[[Image.Image], Image.Image]
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return what ``change`` makes of each image, of the same size; images are on the CPU."""
    import cv2  # takes a second

    changed = torch.empty_like(images, memory_format=torch.contiguous_format)
    for result, image in zip(changed.numpy(), images.numpy(), strict=True):
        # Pillow is quickest to join channels, OpenCV to part them; numpy takes longer for both.
        photo = Image.merge("RGB", [Image.fromarray(channel) for channel in image])
        cv2.split(np.asarray(change(photo)), [*result])
    return changed
