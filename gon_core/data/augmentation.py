"""What is done to training images before any noise, anew in every epoch."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import pad

PADDING = 4  # pixels


def flip_and_crop(
    images: Float[Tensor, "batch channel height width"], stream: Generator
) -> Float[Tensor, "batch channel height width"]:
    """Mirror each image with odds of one half, and move it by up to four pixels each way.

    Args:
        images: in [0, 1].
        stream: two random numbers an image for the place and one for the mirror, on the images'
            device.

    Returns:
        New images of the same shape; what moves in from outside is black.

    References:
        He et al., "Deep residual learning for image recognition", 2016, section 4.2: the usual
        augmentation of CIFAR-10.
    """
    count, _, height, width = images.shape
    device = images.device
    mirrored = torch.rand(count, generator=stream, device=device) < 0.5
    top, left = torch.randint(2 * PADDING + 1, (2, count), generator=stream, device=device)
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    windows = pad(images, (PADDING,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=device), :, top, left]
