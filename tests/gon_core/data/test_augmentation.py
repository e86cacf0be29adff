"""Training images are mirrored and moved; nothing else happens to them."""

import math

import torch

from gon_core.data.augmentation import PADDING, flip_and_crop, random_resized_crop


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, height=5, width=7):
    """Return images whose every value is another, and none is 0."""
    values = torch.arange(1, 2 * height * width + 1).view(2, height, width)
    return values.float().repeat(count, 1, 1, 1)


def test_each_image_is_one_of_the_moved_ones_mirrored_or_not():
    images = numbered(400)
    _, channels, height, width = images.shape
    padded = torch.zeros(channels, height + 2 * PADDING, width + 2 * PADDING)
    padded[:, PADDING : PADDING + height, PADDING : PADDING + width] = images[0]
    mirrored = torch.zeros_like(padded)
    mirrored[:, PADDING : PADDING + height, PADDING : PADDING + width] = images[0].flip(2)
    places = {
        (which, top, left): source[:, top : top + height, left : left + width]
        for which, source in (("as it is", padded), ("mirrored", mirrored))
        for top in range(2 * PADDING + 1)
        for left in range(2 * PADDING + 1)
    }
    seen = set()
    for image in flip_and_crop(images, stream()):
        (place,) = [place for place, moved in places.items() if torch.equal(image, moved)]
        seen.add(place)
    assert {which for which, *_ in seen} == {"as it is", "mirrored"}
    for axis in (1, 2):
        assert {place[axis] for place in seen} == set(range(2 * PADDING + 1))


def test_every_place_is_equally_likely():
    count = 40_000
    images = torch.zeros(count, 1, 1, 9)
    images[..., 4] = 1  # in the middle: a mirror leaves it there
    moved = flip_and_crop(images, stream(1))
    rows = moved.sum((1, 2, 3)).mean()
    assert abs(rows - 1 / 9) < 0.005  # a single row is hit by one of nine offsets
    columns = moved.sum((0, 1, 2)) / moved.sum()
    assert (columns - 1 / 9).abs().max() < 0.03


def test_half_are_mirrored():
    images = torch.zeros(10_000, 1, 1, 3)
    images[..., 0] = 1
    first, last = flip_and_crop(images, stream(2)).sum((0, 1, 2))[[0, 2]]
    assert 0.9 < first / last < 1.1


def test_it_draws_from_its_stream_alone_and_changes_nothing_in_place():
    images = numbered(30)
    before, state = images.clone(), torch.get_rng_state()
    first, again = (flip_and_crop(images, stream(3)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, flip_and_crop(images, stream(4)))
    assert torch.equal(images, before) and torch.equal(torch.get_rng_state(), state)


def test_a_random_part_is_brought_to_full_size_as_by_torchvision():
    """Against torchvision's own function on the same part, drawn again from the same numbers."""
    images = torch.rand(60, 3, 24, 24, generator=stream(1))
    found = random_resized_crop(images, stream(), 0.2)
    area, ratio, right, down, mirror = torch.rand(5, 60, generator=stream())
    sides, mirrored = [], 0
    for index, (image, moved) in enumerate(zip(images, found, strict=True)):
        side = math.sqrt(0.2 + 0.8 * area[index])
        stretch = (3 / 4) ** (0.5 - float(ratio[index]))
        width, height = (24 * min(1, side * stretch), 24 * min(1, side / stretch))
        left, top = right[index] * (24 - width), down[index] * (24 - height)
        across = torch.arange(24).add(0.5) / 24
        if mirror[index] < 0.5:
            across, mirrored = across.flip(0), mirrored + 1
        x, y = left + across * width - 0.5, top + (torch.arange(24) + 0.5) / 24 * height - 0.5
        y, x = y.clamp(0, 23), x.clamp(0, 23)
        rows, columns = y.floor().clamp(max=22).long(), x.floor().clamp(max=22).long()
        below, beside = (y - rows)[:, None], (x - columns)[None]
        corners = [
            image[:, rows + down][:, :, columns + along] for down in (0, 1) for along in (0, 1)
        ]
        upper = corners[0] * (1 - beside) + corners[1] * beside
        lower = corners[2] * (1 - beside) + corners[3] * beside
        torch.testing.assert_close(moved, upper * (1 - below) + lower * below, atol=2e-5, rtol=0)
        sides.append((width, height))
    assert 20 < mirrored < 40
    assert all(0.15 * 576 < width * height <= 576.001 for width, height in sides)


def test_equal_streams_give_equal_parts():
    images = torch.rand(10, 3, 8, 8, generator=stream(1))
    once, again, other = (random_resized_crop(images, stream(seed), 0.1) for seed in (0, 0, 1))
    assert torch.equal(once, again) and not torch.equal(once, other)
