"""brightness and stripe."""

import colorsys

import torch

from gon_core.corruptions.mnist_c import corrupt

GREYS = torch.arange(256, dtype=torch.uint8)


def test_brightness_raises_the_value_of_hsv():
    def brighter(level):
        hue, saturation, value = colorsys.rgb_to_hsv(*[level / 255] * 3)
        return 255 * colorsys.hsv_to_rgb(hue, saturation, min(value + 0.5, 1.0))[0]

    images = GREYS.repeat(4)[:784].view(1, 28, 28)
    expected = torch.tensor([brighter(level) for level in images.flatten().tolist()])
    difference = corrupt(images, "brightness", seed=0).flatten() - expected
    assert difference.abs().max() <= 0.5 + 1e-4


def test_stripe_inverts_the_outer_columns(digits):
    striped = corrupt(digits[:100], "stripe", seed=0)
    for columns in (slice(0, 7), slice(21, 28)):
        assert torch.equal(striped[:, :, columns], 255 - digits[:100, :, columns])
    assert torch.equal(striped[:, :, 7:21], digits[:100, :, 7:21])


def test_stripe_twice_is_the_identity(digits):
    assert torch.equal(corrupt(corrupt(digits, "stripe", seed=0), "stripe", seed=1), digits)
