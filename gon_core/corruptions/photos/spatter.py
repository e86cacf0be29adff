"""spatter: drops of water or of mud on the lens."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.corruptions.photos.blur import blur
from gon_core.corruptions.photos.draws import Draws

WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise
MUD = (63 / 255, 42 / 255, 20 / 255)
OPAQUE = 0.8  # thinner mud is left out
DARK_EDGE, SURE_EDGE = 50, 150  # of Canny's edges
FARTHEST = 20  # pixels from an edge
RELIEF = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def spatter(
    images: Float[Tensor, "batch 3 height width"],
    draws: Draws,
    mean: float,
    deviation: float,
    sigma: float,
    threshold: float,
    strength: float,
    is_mud: int,
) -> Float[Tensor, "batch 3 height width"]:
    """Return images behind drops.

    Args:
        images: in [0, 1].
        draws: one normal number a pixel.
        mean: of the noise that the liquid is made of.
        deviation: standard deviation of that noise.
        sigma: of its blur, in pixels.
        threshold: blurred noise below it is no liquid.
        strength: of water: how bright it is; of mud: sigma of a second blur, in pixels.
        is_mud: 1 for mud, 0 for water.
    """
    height, width = images.shape[-2:]
    field = blur(draws.normal(height, width).mul_(deviation).add_(mean), sigma)
    colour = images.new_tensor(MUD if is_mud else WATER)[:, None, None]
    if is_mud:
        drops = blur((field > threshold).float(), strength)
        drops = torch.where(drops < OPAQUE, 0.0, drops)[:, None]
        return torch.lerp(images, colour, drops)
    liquid = torch.where(field < threshold, 0.0, field)
    levels = (liquid * 255).to(torch.uint8)
    shine = torch.from_numpy(np.stack([_shine(each) for each in levels.cpu().numpy()]))
    light = levels * shine.to(images.device)
    light = light / light.amax((1, 2), keepdim=True) * strength
    return images + (light[:, None] * colour).clamp_(0, 1)


def _shine(liquid: np.ndarray) -> np.ndarray:
    """Return how water reflects light, by the distance from its edges: float32, levels 0..255."""
    import cv2  # takes a second, which the other corruptions need not wait for

    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, DARK_EDGE, SURE_EDGE), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, FARTHEST), (3, 3)).astype(np.uint8)
    relief = cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, np.array(RELIEF))
    return cv2.blur(relief, (3, 3)).astype(np.float32)
