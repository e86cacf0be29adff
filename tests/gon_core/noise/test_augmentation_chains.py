"""AugMix's chains: the same operations as Pillow's, convex mixtures, levels in range."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import stats

from gon_core.config import AugMix
from gon_core.noise import affine
from gon_core.noise import augmentation_chains as chains
from gon_core.seeding import generator

IDENTITY = torch.arange(256)


@pytest.fixture(scope="module")
def grey(mnist):
    """Grey images of all kinds: digits, noise of several ranges, two levels, one level."""
    stream = generator(0, "images")
    kinds = [mnist[0].images[:6, 0]]
    for low, high in ((0, 256), (40, 90), (250, 256), (7, 9), (77, 78), (0, 1), (255, 256)):
        drawn = torch.randint(low, high, (2, 28, 28), generator=stream)
        kinds.append(drawn.to(torch.uint8))
    return torch.cat(kinds)


def by_table(operation, images, severity=1.0):
    """Return images after one operation, looked up in its table."""
    levels = images.flatten(1).long()
    start = IDENTITY.repeat(len(images), 1)
    strength = torch.full((len(images),), severity)
    tables = operation(start, chains.histograms(levels), strength)
    return tables.gather(1, levels).view(images.shape)


def tables_of(histograms, method, seed=0):
    """Return the tables of chains that are drawn for images of these histograms."""
    drawn = chains.draw(len(histograms), method, generator(seed, "noise"))
    return chains.chain_tables(histograms, drawn)


def by_pillow(operation, images):
    """Return images after one operation, one by one."""
    done = [operation(Image.fromarray(image.numpy())) for image in images]
    return torch.stack([torch.from_numpy(np.array(image)).long() for image in done])


def test_autocontrast_is_pillows_but_for_rounding(grey):
    difference = by_table(chains.autocontrast, grey) - by_pillow(ImageOps.autocontrast, grey)
    assert difference.abs().max() <= 1


def test_equalize_is_pillows(grey):
    assert torch.equal(by_table(chains.equalize, grey), by_pillow(ImageOps.equalize, grey))


@pytest.mark.parametrize(("severity", "bits"), [(0.1, 4), (2.49, 4), (2.5, 3), (5.0, 2), (9.9, 1)])
def test_posterize_is_pillows(severity, bits, grey):
    expected = by_pillow(lambda image: ImageOps.posterize(image, bits), grey)
    assert torch.equal(by_table(chains.posterize, grey, severity), expected)


@pytest.mark.parametrize(
    ("severity", "threshold"), [(0.01, 256), (0.1, 254), (1.0, 231), (3.0, 180), (10.0, 0)]
)
def test_solarize_is_pillows(severity, threshold, grey):
    expected = by_pillow(lambda image: ImageOps.solarize(image, threshold), grey)
    assert torch.equal(by_table(chains.solarize, grey, severity), expected)


def test_a_chain_in_tables_is_the_chain_on_images(grey):
    start = IDENTITY.repeat(len(grey), 1)
    levels = grey.flatten(1).long()
    counts = chains.histograms(levels)
    severity = torch.full((len(grey),), 3.0)
    tables, images = start, grey
    for operation in (chains.solarize, chains.equalize, chains.posterize, chains.autocontrast):
        tables = operation(tables, counts, severity)
        images = by_table(operation, images.to(torch.uint8), 3.0)
        assert torch.equal(tables.gather(1, levels).view(images.shape), images)


METHODS = st.builds(
    AugMix,
    width=st.integers(1, 4),
    max_depth=st.integers(1, 4),
    severity=st.floats(0.1, 10),
    solarize=st.booleans(),
)


@settings(max_examples=30, deadline=None)
@given(METHODS, st.integers(0, 100))
def test_a_mixture_is_a_convex_combination_of_image_and_chains(method, seed):
    stream = generator(seed, "images")
    levels = torch.randint(0, 256, (5, 64), generator=stream)
    images = levels.view(5, 1, 8, 8).float() / 255
    before = images.clone()
    mixed = chains.mix(images, method, generator(seed, "noise"))
    assert torch.equal(images, before) and mixed.shape == images.shape
    assert ((mixed >= 0) & (mixed <= 1)).all()
    tables = tables_of(chains.histograms(levels), method, seed)
    assert tables.shape == (5, method.width, 256)
    ends = torch.cat([tables, IDENTITY.expand(5, 1, 256)], 1)
    ends = ends.gather(2, levels[:, None, :].expand(-1, method.width + 1, -1)) / 255
    assert (mixed.flatten(1) <= ends.amax(1) + 1e-6).all()
    assert (mixed.flatten(1) >= ends.amin(1) - 1e-6).all()
    assert torch.equal(mixed, chains.mix(images, method, generator(seed, "noise")))


def test_without_solarize_brighter_pixels_stay_brighter(mnist):
    histograms = chains.histograms(mnist[0].images[:50].flatten(1).long())
    for solarize in (False, True):
        method = AugMix(solarize=solarize, severity=10)
        tables = tables_of(histograms, method)
        ordered = [
            (table[counts > 0].diff() >= 0).all()
            for chains_of_one, counts in zip(tables, histograms, strict=True)
            for table in chains_of_one
        ]
        assert all(ordered) != solarize


def test_operations_and_depths_are_drawn_evenly(mnist):
    digit = (mnist[0].images[:1].flatten(1).long()).expand(6000, -1)
    histograms = chains.histograms(digit)

    def share_unchanged(max_depth):
        method = AugMix(width=1, max_depth=max_depth, solarize=True)
        tables = tables_of(histograms, method)[:, 0]
        return (tables == IDENTITY).all(1).float().mean().item()

    # A digit has black and white pixels already: autocontrast alone changes nothing.
    assert share_unchanged(1) == pytest.approx(1 / 4, abs=0.025)
    assert share_unchanged(2) == pytest.approx((1 / 4 + 1 / 16) / 2, abs=0.02)


def test_the_weights_of_image_and_chains_are_uniform():
    # Solarized at any severity, and posterized to 0 bits, white becomes black: a mixture's white
    # then shows what share the image itself has.
    images = torch.ones(4000, 1, 1, 1)
    method = AugMix(width=2, max_depth=1, severity=10, solarize=True)
    mixed = chains.mix(images, method, generator(0, "noise")).flatten()
    tables = tables_of(chains.histograms(torch.full((4000, 1), 255)), method)[:, :, 255]
    both_black = (tables == 0).all(1)
    assert both_black.sum() > 200
    assert stats.kstest(mixed[both_black].numpy(), "uniform").pvalue > 0.01
    # If only one of the two is black, the rest is 1 - U * V with independent uniform weights.
    one_black = (tables.sort(1).values == torch.tensor([0, 255])).all(1)
    assert one_black.sum() > 200
    assert mixed[one_black].mean().item() == pytest.approx(3 / 4, abs=0.03)


def test_a_colour_image_has_one_table_for_its_channels():
    levels = torch.randint(0, 256, (2, 1, 8, 8), generator=generator(0, "images"))
    images = levels.expand(2, 3, 8, 8).float() / 255
    mixed = chains.mix(images, AugMix(), generator(0, "noise"))
    assert torch.equal(mixed[:, 0], mixed[:, 1]) and torch.equal(mixed[:, 0], mixed[:, 2])


def moved_by_pillow(images, matrix):
    """Return colour images whose pixels come from where the matrix says, by Pillow."""
    done = []
    for image in images:
        photo = Image.fromarray(image.movedim(0, -1).numpy())
        moved = photo.transform(photo.size, Image.Transform.AFFINE, matrix, Image.BILINEAR)
        done.append(torch.from_numpy(np.array(moved)).movedim(-1, 0))
    return torch.stack(done).float()


def rotated_by_pillow(images, degrees):
    done = [Image.fromarray(each.movedim(0, -1).numpy()).rotate(degrees, 2) for each in images]
    return torch.stack([torch.from_numpy(np.array(each)).movedim(-1, 0) for each in done]).float()


@pytest.fixture(scope="module")
def photos():
    stream = generator(0, "images")
    return torch.randint(0, 256, (4, 3, 32, 32), generator=stream).to(torch.uint8)


@pytest.mark.parametrize("severity", [0.1, 1.0, 2.9, 10.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_geometric_operations_are_pillows(severity, sign, photos):
    shear, shift = sign * severity * 0.03, sign * int(severity * 32 / 30)
    expected = {
        affine.rotate: rotated_by_pillow(photos, sign * int(severity * 3)),
        affine.shear_x: moved_by_pillow(photos, (1, shear, 0, 0, 1, 0)),
        affine.shear_y: moved_by_pillow(photos, (1, 0, 0, shear, 1, 0)),
        affine.translate_x: moved_by_pillow(photos, (1, 0, shift, 0, 1, 0)),
        affine.translate_y: moved_by_pillow(photos, (1, 0, 0, 0, 1, shift)),
    }
    assert set(expected) == set(affine.OPERATIONS)
    severities, signs = torch.full((4,), severity), torch.full((4,), float(sign))
    for operation, result in expected.items():
        matrix = operation(photos.float(), severities, signs)
        difference = (affine.transform(photos.float(), matrix) - result).abs()
        assert difference.max() <= 1, operation
        assert (difference == 0).float().mean() > 0.98, operation


def test_on_photos_all_nine_operations_are_drawn_evenly_and_in_both_directions():
    method = AugMix(solarize=True, geometric=True)
    drawn = chains.draw(4000, method, generator(0, "noise"))
    counts = torch.bincount(drawn.kind.flatten(), minlength=9)
    assert len(counts) == len(chains.OPERATIONS) == 9
    assert stats.chisquare(counts.numpy()).pvalue > 0.01
    assert drawn.sign is not None and abs(drawn.sign.mean().item()) < 0.02
    without = chains.draw(4000, AugMix(geometric=True), generator(0, "noise"))
    assert set(without.kind.unique().tolist()) == {0, 1, 2, 4, 5, 6, 7, 8}


def test_each_channel_of_a_photo_is_treated_by_its_own_levels(photos):
    severities = torch.full((4,), 3.0)
    for operation, pillows in (
        (chains.autocontrast, ImageOps.autocontrast),
        (chains.equalize, ImageOps.equalize),
    ):
        narrow = (photos // torch.tensor([2, 4, 8])[:, None, None]).to(torch.uint8)
        expected = [np.array(pillows(Image.fromarray(x.movedim(0, -1).numpy()))) for x in narrow]
        expected = torch.from_numpy(np.stack(expected)).movedim(-1, 1).float()
        result = chains.by_levels(operation, narrow.float(), severities)
        assert (result - expected).abs().max() <= 1


def test_mixtures_of_photos_are_convex_and_independent_of_which_others_are_mixed(photos):
    images = photos.float() / 255
    method = AugMix(solarize=True, geometric=True)
    mixed = chains.mix(images, method, generator(3, "noise"))
    assert mixed.shape == images.shape and not torch.equal(mixed, images)
    ends = chains.chain_images(photos.float(), chains.draw(4, method, generator(3, "noise")))
    ends = torch.cat([ends, photos.float()[:, None]], 1) / 255
    assert (mixed <= ends.amax(1) + 1e-6).all() and (mixed >= ends.amin(1) - 1e-6).all()
    half = chains.mix(images, method, generator(3, "noise"), slice(1, 3))
    assert torch.equal(half, mixed[1:3])


@pytest.mark.parametrize("geometric", [False, True])
@pytest.mark.parametrize("solarize", [False, True])
def test_operations_on_all_chains_give_what_they_give_on_those_that_have_them(
    geometric, solarize, photos, monkeypatch
):
    images, method = photos.float() / 255, AugMix(solarize=solarize, geometric=geometric)
    found = []
    for picks in (True, False):
        monkeypatch.setattr(chains, "picks_rows", lambda device, picks=picks: picks)
        found.append(chains.mix(images.repeat(8, 1, 1, 1), method, generator(3, "noise")))
    assert torch.equal(*found)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.999])
def test_at_imagenets_severity_operations_go_as_far_as_their_authors_have_them(level):
    """Severity 1 on 224 pixels: four bits, 0 to 2 degrees, 0 to 7 pixels."""
    grey = torch.arange(256)[None]
    one = torch.tensor([level])
    kept = chains.posterize(grey, torch.ones_like(grey), one)
    assert torch.equal(kept, grey & 0b11110000)
    inverted = chains.solarize(grey, torch.ones_like(grey), one)
    assert (inverted != grey).sum() == int(25.6 * level)
    image = torch.zeros(1, 1, 224, 224)
    image[..., 112] = 255.0
    moved = affine.transform(image, affine.translate_x(image, one, torch.ones(1)))
    assert moved[0, 0, 100].argmax() == 112 - int(level * 224 / 30)
    assert int(level * 224 / 30) == int(level * 7.47)
    turned = affine._whole(one, 30.0)
    assert turned.item() == int(3 * level) in (0, 1, 2)
