"""shear, scale, rotate and translate against scikit-image's warp, one image at a time."""

import numpy as np
import pytest
import torch
from skimage.transform import AffineTransform, warp

from gon_core.corruptions.mnist_c import corrupt

CENTRE = np.array([13.5, 13.5])


def warped(image, matrix, shift=(0, 0)):
    """The image sampled at matrix @ (column, row) about the centre, plus a shift."""
    full = np.eye(3)
    full[:2, :2] = matrix
    full[:2, 2] = CENTRE - matrix @ CENTRE + shift
    return 255 * warp(image / 255.0, AffineTransform(full), order=1, mode="constant", cval=0)


def sheared(sign):
    return np.array([[1, -np.sin(sign * 0.4)], [0, np.cos(sign * 0.4)]])


def rotated(sign):
    cos, sin = np.cos(0.4), np.sin(sign * 0.4)
    return np.array([[cos, -sin], [sin, cos]])


def test_scale_shrinks_about_the_centre(digits):
    ours = corrupt(digits[:300], "scale", seed=0).numpy()
    expected = np.stack([warped(image, np.eye(2) / 0.7) for image in digits[:300].numpy()])
    assert (np.abs(ours - expected) <= 0.51).all()


@pytest.mark.parametrize(("name", "matrix"), [("shear", sheared), ("rotate", rotated)])
def test_each_image_is_warped_to_one_of_two_sides(digits, name, matrix):
    images = digits[:300].numpy()
    ours = corrupt(digits[:300], name, seed=0).numpy()
    errors = [
        np.abs(ours - np.stack([warped(image, matrix(sign)) for image in images])).max(axis=(1, 2))
        for sign in (-1, 1)
    ]
    assert (np.minimum(*errors) <= 0.51).all()
    assert 100 < (errors[0] < errors[1]).sum() < 200


def test_translate_moves_by_three_pixels_to_one_of_four_corners(digits):
    images = digits[:400]
    ours = corrupt(images, "translate", seed=0)
    moved = torch.stack(
        [
            torch.from_numpy(
                np.stack([warped(i, np.eye(2), (3 * dx, 3 * dy)) for i in images.numpy()])
            )
            for dx in (-1, 1)
            for dy in (-1, 1)
        ]
    )
    matches = (moved - ours).abs().amax(dim=(2, 3)) < 0.01
    assert (matches.sum(dim=0) >= 1).all()
    assert ((matches.sum(dim=1) > 60) & (matches.sum(dim=1) < 140)).all()
