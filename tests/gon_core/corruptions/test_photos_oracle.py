"""The corruptions of photos beside ``imagecorruptions``, where it is the published code's equal."""

import math
from io import BytesIO

import imagecorruptions.corruptions as oracle
import numpy as np
import pytest
import torch
from PIL import Image

from gon_core.corruptions.photos import SEVERITIES, STRENGTHS, corrupt
from gon_core.corruptions.photos.corrupt import FUNCTIONS
from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.levels import to_levels

SIDE = 224
SEVERITY = pytest.mark.parametrize(
    "severity",
    [each if each == 3 else pytest.param(each, marks=pytest.mark.system) for each in SEVERITIES],
)


def share_within_one(ours: torch.Tensor, expected: object) -> float:
    """Return the percentage of bytes within one grey level; fractions of levels are cut off."""
    levels = np.floor(np.array(expected, np.float64))
    difference = np.abs(ours.permute(1, 2, 0).numpy() - levels)
    return 100 * float((difference <= 1).mean())


@SEVERITY
@pytest.mark.parametrize(
    "name",
    ["defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
     "gaussian_blur", "saturate"],
)  # fmt: skip
def test_what_draws_nothing(photos, name, severity):
    images = photos(3, SIDE)
    for image, corrupted in zip(images, corrupt(images, name, severity, seed=0), strict=True):
        photo = Image.fromarray(image.permute(1, 2, 0).numpy())
        assert share_within_one(corrupted, getattr(oracle, name)(photo, severity)) >= 99.5


@pytest.mark.parametrize("side", [32, 64, 299])
def test_pixelate_and_jpeg_are_pillows_at_every_side(photos, side):
    images = photos(3, side)
    for severity in SEVERITIES:
        (factor,), (quality,) = (
            STRENGTHS[side][name][severity - 1] for name in ("pixelate", "jpeg_compression")
        )
        for index, image in enumerate(images):
            photo = Image.fromarray(image.permute(1, 2, 0).numpy())
            small = photo.resize((int(side * factor),) * 2, Image.Resampling.BOX)
            expected = small.resize((side, side), Image.Resampling.BOX)
            ours = corrupt(images, "pixelate", severity, seed=0)[index]
            assert share_within_one(ours, expected) == 100
            through = oracle_jpeg(photo, int(quality))
            ours = corrupt(images, "jpeg_compression", severity, seed=0)[index]
            assert np.array_equal(ours.permute(1, 2, 0).numpy(), through)


def oracle_jpeg(photo: Image.Image, quality: int) -> np.ndarray:
    """Return the photo after Pillow's JPEG."""
    file = BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


@SEVERITY
@pytest.mark.parametrize(
    "name", ["gaussian_noise", "speckle_noise", "motion_blur", "fog", "spatter"]
)
def test_what_draws_numbers_that_can_be_fed_in(photos, monkeypatch, name, severity):
    image = photos(1, SIDE)
    draws = Draws(0, name, severity, (0,), image.device)

    def normal(loc: float = 0, scale: float = 1, size: tuple[int, ...] = ()) -> np.ndarray:
        numbers = draws.normal(*size[2:], *size[:2])[0].double().numpy()
        return loc + scale * (np.moveaxis(numbers, 0, 2) if len(size) == 3 else numbers)

    plasma: list[np.ndarray] = []  # what is left of its numbers

    def uniform(low: float, high: float, size: tuple[int, int] | None = None) -> object:
        if size is None:  # an angle
            return draws.uniform(float(low), float(high), 1).item()
        if not plasma:
            plasma.append(draws.uniform(-1.0, 1.0, 256 * 256)[0].numpy())
        numbers, plasma[0] = np.split(plasma[0], [math.prod(size)])
        return high * numbers.astype(float).reshape(size)

    monkeypatch.setattr(np.random, "normal", normal)
    monkeypatch.setattr(np.random, "uniform", uniform)
    photo = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    expected = getattr(oracle, name)(photo, severity)
    assert share_within_one(corrupt(image, name, severity, seed=0)[0], expected) >= 99.5


@SEVERITY
@pytest.mark.parametrize("name", ["shot_noise", "impulse_noise"])
def test_what_draws_other_numbers_has_the_same_distribution(photos, name, severity):
    """Mean and deviation of 20 photos over 10 draws, and of neighbours' differences."""
    images = photos(20, 64)
    strength = STRENGTHS[224][name][severity - 1][0]
    ours, theirs = [], []
    rng = np.random.default_rng(severity)
    for draw in range(10):
        corrupted = corrupt_with(images, name, strength, draw)
        x = images.numpy() / 255
        if name == "shot_noise":
            published = np.clip(rng.poisson(x * strength) / strength, 0, 1)
        else:
            kinds = rng.random(x.shape)
            published = np.where(kinds < strength, rng.random(x.shape) < 0.5, x)
        ours.append(statistics_of(corrupted - x))
        theirs.append(statistics_of(np.floor(published * 255) / 255 - x))
    ours, theirs = np.array(ours), np.array(theirs)
    error = np.sqrt((ours.var(0, ddof=1) + theirs.var(0, ddof=1)) / len(ours))
    assert (np.abs(ours.mean(0) - theirs.mean(0)) <= 4 * error + 1e-6).all()


def corrupt_with(images: torch.Tensor, name: str, strength: float, draw: int) -> np.ndarray:
    """Return images in [0, 1] under noise of a strength of another side."""
    draws = Draws(draw, name, 1, range(len(images)), images.device)
    return to_levels(FUNCTIONS[name](images.float() / 255, draws, strength)).numpy() / 255


def statistics_of(noise: np.ndarray) -> list[float]:
    """Return the noise's mean, deviation, and how neighbours and channels go together."""
    right = (noise[..., 1:] * noise[..., :-1]).mean()
    channels = (noise[:, 0] * noise[:, 1]).mean()
    return [noise.mean(), noise.std(), right, channels]
