"""AugMix's tables: the same operations as Pillow's, convex mixtures, levels in range."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import stats

from gon_core.config import AugMix
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
    tables = chains.draw_chains(chains.histograms(levels), method, generator(seed, "noise"))
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
        tables = chains.draw_chains(histograms, method, generator(0, "noise"))
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
        tables = chains.draw_chains(histograms, method, generator(0, "noise"))[:, 0]
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
    tables = chains.draw_chains(
        chains.histograms(torch.full((4000, 1), 255)), method, generator(0, "noise")
    )[:, :, 255]
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
