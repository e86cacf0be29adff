"""What `corrupt` promises for every corruption of photos."""

import pytest
import torch

from gon_core.benchmarks import imagenet_c
from gon_core.corruptions.photos import CORRUPTIONS, EXTRA, SEVERITIES, STRENGTHS, corrupt
from gon_core.corruptions.photos.corrupt import FUNCTIONS, ON_LEVELS
from gon_core.corruptions.photos.draws import Draws

NAMES = (*CORRUPTIONS, *EXTRA)
DETERMINISTIC = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
    "gaussian_blur", "saturate",
)  # fmt: skip


def test_names_are_those_of_imagenet_c():
    assert " ".join(CORRUPTIONS) == (
        "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur "
        "snow frost fog brightness contrast elastic_transform pixelate jpeg_compression"
    )
    assert CORRUPTIONS == imagenet_c.CORRUPTIONS
    assert EXTRA == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert all(set(strengths) == set(NAMES) for strengths in STRENGTHS.values())
    assert all(len(each) == 5 for strengths in STRENGTHS.values() for each in strengths.values())


@pytest.mark.parametrize(
    "side",
    [
        side if side in (32, 224) else pytest.param(side, marks=pytest.mark.system)
        for side in STRENGTHS
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_new_uint8_images_at_every_side(photos, name, side):
    images = photos(2, side)
    before, state = images.clone(), torch.get_rng_state()
    for severity in (1, 5) if side > 64 else SEVERITIES:
        corrupted = corrupt(images, name, severity, seed=0)
        assert corrupted.dtype == torch.uint8 and corrupted.shape == images.shape
        assert not torch.equal(corrupted, images)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_the_same_alone_and_in_any_batch(photos, name):
    images = photos(20, 32).repeat(5, 1, 1, 1)  # more than are corrupted at a time
    whole = corrupt(images, name, 2, seed=7)
    for index in (0, 63, 64, 99):
        alone = corrupt(images[index : index + 1], name, 2, seed=7, indices=[index])
        assert torch.equal(alone[0], whole[index])
    order = [5, 99, 3]
    assert torch.equal(corrupt(images[order], name, 2, seed=7, indices=order), whole[order])
    assert torch.equal(whole[0], whole[20]) == (name in DETERMINISTIC)  # the same photo


@pytest.mark.parametrize("name", NAMES)
def test_only_random_corruptions_depend_on_the_seed(photos, name):
    images = photos(4, 32)
    same = torch.equal(corrupt(images, name, 3, seed=0), corrupt(images, name, 3, seed=1))
    assert same == (name in DETERMINISTIC)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("frost", *ON_LEVELS)])
@pytest.mark.parametrize("level", [0, 255])
def test_flat_images_give_finite_values(name, level):
    flat = torch.full((2, 3, 32, 32), level / 255)
    for severity in SEVERITIES:
        draws = Draws(0, name, severity, (0, 1), flat.device)
        corrupted = FUNCTIONS[name](flat, draws, *STRENGTHS[32][name][severity - 1])
        assert corrupted.isfinite().all()
        assert torch.equal(flat, torch.full_like(flat, level / 255))


def test_what_no_corruption_is_made_for_stays_white():
    """Rounding errors must not turn white into 254."""
    white = torch.full((1, 3, 224, 224), 255, dtype=torch.uint8)
    for name in ("gaussian_blur", "defocus_blur", "zoom_blur", "motion_blur", "glass_blur",
                 "elastic_transform", "contrast", "brightness", "pixelate"):  # fmt: skip
        assert corrupt(white, name, 3, seed=0).min() == 255, name


def test_no_images_are_no_images():
    none = torch.empty(0, 3, 32, 32, dtype=torch.uint8)
    for name in NAMES:
        assert corrupt(none, name, 1, seed=0).shape == none.shape


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        ((1, 3, 32, 32), ("fogg", 1), "nearest is 'fog'"),
        ((1, 3, 32, 32), ("fog", 0), "severity must be one of 1, 2, 3, 4, 5, got 0"),
        ((1, 3, 32, 32), ("fog", True), "severity must be one of"),
        ((1, 1, 32, 32), ("fog", 1), r"images must be \[n, 3, side, side\], got \[1, 1, 32, 32\]"),
        ((1, 3, 32, 31), ("fog", 1), r"images must be \[n, 3, side, side\]"),
        ((1, 3, 28, 28), ("fog", 1), "the side of images must be one of 32, 64, 224, 299, got 28"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupt(torch.zeros(images, dtype=torch.uint8), *arguments, seed=0)


def test_bad_images_and_indices_are_refused(photos):
    with pytest.raises(ValueError, match=r"uint8 tensor \(0 to 255\), got torch.float32"):
        corrupt(photos(1, 32).float(), "fog", 1, seed=0)
    with pytest.raises(ValueError, match="indices must be 2 numbers, got 1"):
        corrupt(photos(2, 32), "fog", 1, seed=0, indices=[0])
