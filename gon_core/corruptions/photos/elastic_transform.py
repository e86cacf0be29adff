"""elastic_transform: an affine map through three moved points, then a smooth displacement."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from gon_core.corruptions.gaussian import blur_matrix
from gon_core.corruptions.photos.draws import Draws

TRUNCATE = 3.0  # of the displacement's blur, in units of sigma


def elastic_transform(
    images: Float[Tensor, "batch 3 height width"],
    draws: Draws,
    alpha: float,
    sigma: float,
    affine: float,
) -> Float[Tensor, "batch 3 height width"]:
    """Return images that are bent.

    Args:
        images: in [0, 1], square.
        draws: six numbers an image for the points, then two a pixel.
        alpha: of the displacement: its size before the blur, in pixels.
        sigma: of its blur, in pixels.
        affine: by how much each coordinate of the points moves at most, in pixels.
    """
    side = images.shape[-1]
    moved = _affine(images, draws.uniform(-affine, affine, 3, 2))
    if not alpha:
        return moved
    blur = blur_matrix(side, sigma, beyond_edge="reflect", truncate=TRUNCATE).to(images.device)
    fields = blur @ draws.uniform(-1.0, 1.0, 2, side, side) @ blur.T * alpha
    pixels = torch.arange(side, device=images.device)
    x, y = pixels + fields[:, 0], pixels[:, None] + fields[:, 1]
    # Where -1 and 1 are the outer edges of the image: it is mirrored there, edge pixels included.
    grid = (torch.stack((x, y), -1) * 2 + 1) / side - 1
    return grid_sample(moved, grid, padding_mode="reflection", align_corners=False)


def _affine(
    images: Float[Tensor, "batch 3 height width"], moves: Float[Tensor, "batch 3 2"]
) -> Float[Tensor, "batch 3 height width"]:
    """Return images under the affine map that moves three points; mirrored at the edge pixels."""
    side = images.shape[-1]
    near, far = side // 2 - side // 3, side // 2 + side // 3
    points = moves.new_tensor([[far, far], [far, near], [near, near]]).expand(len(images), 3, 2)
    targets = torch.cat((points + moves, torch.ones_like(points[..., :1])), 2)
    # From the new position of a pixel back to where it is read.
    back = torch.linalg.solve(targets.double(), points.double()).float()
    pixels = torch.arange(side, device=images.device, dtype=torch.float32)
    y, x = torch.meshgrid(pixels, pixels, indexing="ij")
    read = torch.stack((x, y, torch.ones_like(x)), -1) @ back[:, None]
    grid = read * (2 / (side - 1)) - 1
    return grid_sample(images, grid, padding_mode="reflection", align_corners=True)
