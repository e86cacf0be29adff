"""canny_edges against scikit-image's detector, one image at a time."""

import numpy as np
import torch
from skimage.feature import canny

from gon_core.corruptions.mnist_c import FUNCTIONS, corrupt

SILENT = torch.Generator()


def test_edges_of_real_digits_are_those_of_scikit_image(digits):
    images = digits[:600]
    edges = corrupt(images, "canny_edges", seed=0).numpy()
    expected = np.stack([canny(image / 255.0) for image in images.numpy()])
    assert set(np.unique(edges)) == {0, 255}
    assert (edges == 255 * expected).mean() >= 0.99999


def test_edges_of_noise_are_those_of_scikit_image():
    images = torch.rand(150, 28, 28, generator=torch.Generator().manual_seed(0))
    edges = FUNCTIONS["canny_edges"](images, SILENT).numpy()
    expected = np.stack([canny(image) for image in images.double().numpy()])
    assert (edges == expected).mean() >= 0.9999


def test_weak_edges_are_followed_around_bends():
    """A faint serpentine, a little brighter at one end, is an edge up to its other end."""
    image = 1e-3 * torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    for row in range(2, 26, 6):
        image[row : row + 3, 3:25] += 0.05
    image[5:8, 22:25] += 0.05
    image[11:14, 3:6] += 0.05
    image[17:20, 22:25] += 0.05
    all_faint = FUNCTIONS["canny_edges"](image[None], SILENT)[0]
    image[2:5, 3:8] += 0.04
    edges = FUNCTIONS["canny_edges"](image[None], SILENT)[0]
    assert all_faint.sum() == 0
    assert edges[20:24].sum() > 20
    np.testing.assert_array_equal(edges.numpy(), canny(image.double().numpy()))


def test_flat_images_have_no_edges():
    assert FUNCTIONS["canny_edges"](torch.full((2, 28, 28), 0.7), SILENT).sum() == 0
