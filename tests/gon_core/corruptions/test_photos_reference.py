"""Corruptions of photos beside plain versions of the published definitions."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from gon_core.corruptions.photos import SEVERITIES, STRENGTHS, corrupt
from gon_core.corruptions.photos import frost as frost_photos
from gon_core.corruptions.photos.draws import Draws
from gon_core.corruptions.photos.glass_blur import shuffled
from gon_core.corruptions.photos.jpeg_codec import through_codec
from gon_core.corruptions.photos.jpeg_compression import through_jpeg
from gon_core.corruptions.photos.pixelate import enlarged_means


def draws_of(name: str, severity: int) -> Draws:
    """Return what image 0 is corrupted with at seed 0."""
    return Draws(0, name, severity, (0,), torch.device("cpu"))


def share_within_one(ours: torch.Tensor, expected: np.ndarray) -> float:
    """Return the percentage of bytes within one grey level."""
    levels = np.floor(np.clip(expected, 0, 255))
    return 100 * float((np.abs(ours.permute(1, 2, 0).numpy() - levels) <= 1).mean())


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_glass_is_the_pixel_by_pixel_walk(reach):
    """On colour images the published exchange of two pixels is a copy."""
    side = 40
    steps = Draws(0, "glass", reach, (0, 1), torch.device("cpu")).integers(
        -reach, reach, 2, side, side
    )
    for index, image_steps in enumerate(steps):
        shown = np.arange(side * side).reshape(side, side, 1).repeat(3, 2)
        for h in range(side - reach, reach, -1):
            for w in range(side - reach, reach, -1):
                dx, dy = image_steps[:, h, w].tolist()
                shown[h, w], shown[h + dy, w + dx] = shown[h + dy, w + dx], shown[h, w]
        assert np.array_equal(shuffled(steps, reach)[index].numpy(), shown[..., 0])


@pytest.mark.parametrize("severity", [1, 5])
def test_glass_blurs_before_and_after(photos, severity):
    images = photos(1, 64)
    sigma, reach, passes = STRENGTHS[64]["glass_blur"][severity - 1]
    photo = images[0].permute(1, 2, 0).numpy()
    levels = np.floor(
        gaussian_filter(photo.astype(float), (sigma, sigma, 0), mode="nearest") + 1e-9
    )
    draws = draws_of("glass_blur", severity)
    for _ in range(int(passes)):
        source = shuffled(draws.integers(-int(reach), int(reach), 2, 64, 64), int(reach))[0]
        levels = levels.reshape(-1, 3)[source.flatten().numpy()].reshape(levels.shape)
    expected = gaussian_filter(levels, (sigma, sigma, 0), mode="nearest")
    assert share_within_one(corrupt(images, "glass_blur", severity, seed=0)[0], expected) >= 99.5


@pytest.mark.parametrize("side", [32, 64, 224])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_is_opencvs_affine_map_and_scipys_displacement(photos, side, severity):
    images = photos(1, side)
    alpha, sigma, affine = STRENGTHS[side]["elastic_transform"][severity - 1]
    draws = draws_of("elastic_transform", severity)
    centre, third = side // 2, side // 3
    points = np.array(
        [[centre + third] * 2, [centre + third, centre - third], [centre - third] * 2], np.float32
    )
    moved = points + draws.uniform(-affine, affine, 3, 2)[0].numpy()
    photo = images[0].permute(1, 2, 0).numpy().astype(np.float32)
    bent = cv2.warpAffine(
        photo, cv2.getAffineTransform(points, moved), (side, side), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    if alpha:
        fields = draws.uniform(-1.0, 1.0, 2, side, side)[0].double().numpy()
        dx, dy = (
            alpha * gaussian_filter(field, sigma, mode="reflect", truncate=3) for field in fields
        )
        rows, columns = np.mgrid[:side, :side]
        bent = np.stack(
            [
                map_coordinates(bent[..., c], (rows + dy, columns + dx), order=1, mode="reflect")
                for c in range(3)
            ],
            axis=2,
        )
    ours = corrupt(images, "elastic_transform", severity, seed=0)[0]
    assert share_within_one(ours, bent) >= 99.5


@pytest.mark.parametrize("side", [64, 224])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_snow_is_the_published_recipe(photos, side, severity):
    images = photos(1, side)
    mean, deviation, factor, threshold, radius, sigma, kept = STRENGTHS[side]["snow"][severity - 1]
    draws = draws_of("snow", severity)
    field = mean + deviation * draws.normal(1, side, side)[0, 0].numpy()
    crop = math.ceil(side / factor)
    first = (side - crop) // 2
    field = zoom(field[first : first + crop, first : first + crop], factor, order=1)
    trim = (len(field) - side) // 2
    field = field[trim : trim + side, trim : trim + side]
    field[field < threshold] = 0
    flakes = np.floor(255 * np.clip(field, 0, 1) + 1e-4)
    angle = math.radians(draws.uniform(-135.0, -45.0, 1).item())
    distances = np.arange(2 * radius + 1)
    weights = np.exp(-(distances**2) / (2 * sigma**2))
    bordered = np.pad(flakes, 2 * radius, mode="edge")
    fallen = np.zeros((side, side))
    for weight, distance in zip(weights / weights.sum(), distances, strict=True):
        row = 2 * radius + math.ceil(distance * math.sin(angle) - 0.5)
        column = 2 * radius + math.ceil(distance * math.cos(angle) - 0.5)
        fallen += weight * bordered[row : row + side, column : column + side]
    layer = np.floor(fallen + 1e-4)[..., None]
    photo = images[0].permute(1, 2, 0).numpy().astype(float)
    grey = photo @ (0.299, 0.587, 0.114)
    white = np.maximum(photo, 1.5 * grey[..., None] + 127.5)
    expected = kept * photo + (1 - kept) * white + layer + np.rot90(layer, 2)
    assert share_within_one(corrupt(images, "snow", severity, seed=0)[0], expected) >= 99.5


@pytest.fixture(scope="module")
def frost_folder(tmp_path_factory) -> Path:
    """A folder of made-up frost photos: a different grey each."""
    folder = tmp_path_factory.mktemp("frost")
    for index, name in enumerate(frost_photos.PHOTOS):
        Image.new("RGB", (400, 320), (40 * index,) * 3).save(folder / name)
    return folder


def test_frost_is_a_weighted_sum_with_each_photo(photos, frost_folder):
    images = photos(20, 32)
    corrupted = corrupt(images, "frost", 5, seed=0, frost_dir=frost_folder)
    greys = set()
    for index, (image, ours) in enumerate(zip(images, corrupted, strict=True)):
        which = Draws(0, "frost", 5, (index,), images.device).uniform(0.0, 1.0, 3)[0, 0]
        grey = 40 * int(which * 5)
        expected = (0.75 * image.double() + 0.45 * grey).clamp(0, 255).permute(1, 2, 0).numpy()
        assert share_within_one(ours, expected) >= 99.5
        greys.add(grey)
    assert greys == {0, 40, 80, 120, 160}


def test_frost_of_the_installed_package(photos):
    images = photos(2, 224)
    assert corrupt(images, "frost", 3, seed=0).float().mean() > images.float().mean() * 0.7


def test_frost_without_photos_is_refused(photos, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"must have the frost photos frost1.png, .*frost5.jpg"):
        corrupt(photos(1, 32), "frost", 1, seed=0, frost_dir=tmp_path)
    monkeypatch.setattr(frost_photos, "PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match="install imagecorruptions-imaug, or name their folder"):
        corrupt(photos(1, 32), "frost", 1, seed=0)


@pytest.mark.parametrize("quality", [7, 10, 18, 25, 50, 85])
@pytest.mark.parametrize("side", [32, 224, 299])
def test_the_codec_is_near_libjpeg(photos, side, quality):
    images = photos(6, side)
    difference = (through_codec(images, quality).int() - through_jpeg(images, quality).int()).abs()
    assert (difference <= 1).double().mean() >= 0.94


@pytest.mark.parametrize("side", STRENGTHS)
def test_pixelate_without_pillow_is_pillows(photos, side):
    images = photos(3, side)
    for severity, (factor,) in enumerate(STRENGTHS[side]["pixelate"], start=1):
        ours = enlarged_means(images, int(side * factor)).int()
        difference = (ours - corrupt(images, "pixelate", severity, seed=0).int()).abs()
        assert difference.max() <= 1 and (difference == 0).double().mean() > 0.999


def test_jpeg_frame_is_quality_85(photos):
    images = photos(2, 64)
    plain = corrupt(images, "contrast", 2, seed=0)
    framed = corrupt(images, "contrast", 2, seed=0, jpeg=True)
    assert torch.equal(framed, through_jpeg(plain, 85)) and not torch.equal(framed, plain)


def test_the_softened_disk_keeps_the_published_sums():
    """The largest disks touch the border of their kernel, which mirrors what the softening adds."""
    from gon_core.corruptions.photos.blur import disk

    sums = [disk(*strength).sum().item() for strength in STRENGTHS[224]["defocus_blur"]]
    assert sums == pytest.approx([1, 1, 1, 1.01298, 1.01079], abs=1e-5)
