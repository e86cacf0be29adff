"""What is done to training images before any noise, anew in every epoch."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

PADDING = 4  # pixels
ASPECT = 4 / 3  # of a crop, at most, either way
TRIES = 10  # to draw a part that fits


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


def random_resized_crop(
    images: Float[Tensor, "batch channel height width"], stream: Generator, least_area: float
) -> Float[Tensor, "batch channel height width"]:
    """Mirror each image with odds of one half, and bring a random part of it to its full size.

    The part has between ``least_area`` and all of the image's area, uniformly, and sides in a ratio
    of 3:4 to 4:3, uniformly in its logarithm; a side that is too long is cut to the image's. It is
    enlarged linearly.

    Args:
        images: in [0, 1].
        stream: five random numbers an image, on the images' device.
        least_area: in (0, 1].

    Returns:
        New images of the same shape.

    References:
        Szegedy et al., "Going deeper with convolutions", 2015, section 6: the usual augmentation of
        ImageNet, with an area of at least 0.08.
    """
    area, ratio, right, down, mirror = torch.rand(
        5, len(images), generator=stream, device=images.device
    )
    side = (least_area + (1 - least_area) * area).sqrt()
    stretch = torch.exp((ratio - 0.5) * math.log(ASPECT))
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    # Of coordinates that go from -1 to 1: where the middle of the part is, and how wide it is.
    x, y = (2 * right - 1) * (1 - width), (2 * down - 1) * (1 - height)
    nothing, sign = torch.zeros_like(x), torch.where(mirror < 0.5, -1.0, 1.0)
    rows = torch.stack([sign * width, nothing, x, nothing, height, y], dim=1).view(-1, 2, 3)
    grid = affine_grid(rows, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def crop_box(
    height: int, width: int, least_area: float, stream: Generator
) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random part of an image, in pixels.

    The part has between ``least_area`` and all of the image's area, uniformly, and sides in a ratio
    of 3:4 to 4:3, uniformly in its logarithm. Of ten draws the first that fits is taken; if none
    does, the largest part in the middle whose sides have such a ratio.

    References:
        As ``random_resized_crop``; torchvision's ``RandomResizedCrop`` draws so.
    """
    for _ in range(TRIES):
        area, ratio = torch.rand(2, generator=stream).tolist()
        wanted = height * width * (least_area + (1 - least_area) * area)
        stretch = math.exp((2 * ratio - 1) * math.log(ASPECT))
        wide, high = round(math.sqrt(wanted * stretch)), round(math.sqrt(wanted / stretch))
        if 0 < wide <= width and 0 < high <= height:
            top = int(torch.randint(height - high + 1, (), generator=stream))
            left = int(torch.randint(width - wide + 1, (), generator=stream))
            return top, left, high, wide
    wide, high = min(width, round(height * ASPECT)), min(height, round(width * ASPECT))
    return (height - high) // 2, (width - wide) // 2, high, wide
