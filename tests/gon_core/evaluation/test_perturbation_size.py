"""Sizes of noise against classifiers for which they are known in closed form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gon_core.config import ANT
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import (
    NOISES,
    Noise,
    adversarial_noise,
    median_perturbation_size,
    median_search,
    perturbation_sizes,
    size_search,
)
from gon_core.evaluation.perturbation_size import ranks, share_non_monotone
from gon_core.models import MadryCNN
from gon_core.seeding import generator
from tests.small_model import SmallCNN

PRECISION = 1e-3


def stream():
    """Return the noise that every search here gets."""
    return generator(0, "noise")


class Linear(nn.Module):
    """Class 1 where the mean grey level is above 0.5; it counts the images it sees.

    Like many networks it takes no empty batch.
    """

    def __init__(self):
        super().__init__()
        self.seen = 0

    def see(self, images):
        assert len(images), "an empty batch"
        self.seen += len(images)

    def forward(self, images):
        self.see(images)
        above = images.flatten(1).mean(1) - 0.5
        return torch.stack([-above, above], 1)


class Shell(Linear):
    """Class 1 at distances from grey in one of the spans."""

    def __init__(self, *spans):
        super().__init__()
        self.spans = spans

    def forward(self, images):
        self.see(images)
        distance = (images - 128 / 255).flatten(1).norm(dim=1)
        inside = sum(((low <= distance) & (distance < high)).float() for low, high in self.spans)
        return torch.stack([torch.full_like(distance, 0.5), inside], 1)


BRIGHTER = Noise("brighter", lambda images, generator: torch.ones_like(images))
DARKER = Noise("darker", lambda images, generator: -torch.ones_like(images))


def greys(levels, label=0):
    """Return an image of each grey level, all of one class."""
    images = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28)
    return LabelledImages(images.contiguous(), torch.full((len(levels),), label))


@pytest.fixture(scope="module")
def spread():
    """Five thousand images of different grey levels, a few above the hyperplane."""
    stream = generator(0, "levels")
    levels = torch.randn(5000, 1, generator=stream) * 25 + 80
    share = torch.rand(5000, 1, generator=stream)
    pixels = levels + (torch.rand(5000, 784, generator=stream) < share)  # no two means are equal
    images = pixels.clamp(0, 255).to(torch.uint8).view(-1, 1, 28, 28)
    return LabelledImages(images, torch.zeros(5000, dtype=torch.int64))


def closed_form(data):
    """Return the distance to the hyperplane: 28 times the missing mean grey level."""
    return (28 * (0.5 - data.images.double().mean((1, 2, 3)) / 255)).clamp(min=0)


def test_the_size_of_each_image_is_the_distance_to_the_hyperplane(spread):
    data = spread[:100]
    found = perturbation_sizes(Linear(), data, BRIGHTER, stream(), precision=1e-4)
    torch.testing.assert_close(found, closed_form(data), rtol=0, atol=1.1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 100, 101, 1000])
def test_the_median_is_that_of_the_closed_form(spread, count):
    data = spread[:count]
    row = median_perturbation_size(Linear(), data, BRIGHTER, stream(), count_never=True)
    sizes = closed_form(data).sort().values
    first, middle, last = ranks(count)
    assert row.value == pytest.approx(float(sizes[middle - 1]), abs=1.1 * PRECISION)
    low = float(sizes[first - 1]) if first else 0.0
    high = float(sizes[last - 1]) if last <= count else math.inf
    assert row.extra["low"] == pytest.approx(low, abs=1.1 * PRECISION)
    assert row.extra["high"] == pytest.approx(high, abs=1.1 * PRECISION)
    assert row.extra["low"] <= row.value <= row.extra["high"]
    assert row.extra["already_wrong"] == int((closed_form(data) == 0).sum())
    assert row.extra["never"] == row.extra["non_monotone"] == 0 and not row.extra["per_image"]


@pytest.mark.system
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "gaussian" else pytest.mark.slow) for name in NOISES],
)
def test_half_are_wrong_at_the_median_or_before_and_fewer_just_before_it(name, mnist):
    data, model = mnist[1][:50], MadryCNN()
    labels = model(data.images.float() / 255).argmax(1)
    labels[:30] = (labels[:30] + torch.arange(30) % 2) % 10  # some are wrong already
    data = LabelledImages(data.images, labels)
    row = median_perturbation_size(
        model, data, NOISES[name], stream(), tolerance=1.0, count_never=True
    )
    with torch.no_grad():
        found = size_search.start(model, data, NOISES[name], stream(), PRECISION)
        for size, at_least in ((row.extra["low"] - PRECISION, 17), (row.value - PRECISION, 24)):
            near = torch.full_like(found.reach, min(max(size, 0.0), found.limit))
            assert found.look(found.everything, near)[0].sum() <= at_least
        at_the_end = ~found.look(found.everything, found.reach)[0]
    assert not row.extra["per_image"] and row.extra["never"] == int(
        (at_the_end & (found.wrong > 0)).sum()
    )
    sizes = perturbation_sizes(model, data, NOISES[name], stream(), precision=PRECISION)
    each = median_perturbation_size(model, data, NOISES[name], stream(), search="per image")
    assert each.extra["per_image"] and each.value == sizes.sort().values[24]
    assert each.extra["never"] == int(sizes.isinf().sum())
    if math.isfinite(row.value):
        assert (sizes <= row.value + PRECISION).sum() >= 25


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize(("count", "times"), [(300, 4.5), (1000, 5), (5000, 5)])
def test_it_takes_a_fifth_of_the_forwards(spread, count, times):
    model, data = Linear(), spread[:count]
    row = median_perturbation_size(model, data, BRIGHTER, stream())
    assert model.seen == row.extra["forwards"] and "never" not in row.extra
    model.seen, some = 0, data[:500]
    each = median_perturbation_size(model, some, BRIGHTER, stream(), search="per image")
    assert model.seen == each.extra["forwards"]
    assert each.extra["forwards"] / each.count >= 5 * row.extra["forwards"] / row.count
    # Beside a search that leaves out the grid, too, but for the interval of few images.
    with torch.no_grad():
        found = size_search.start(model, some, BRIGHTER, stream(), PRECISION)
        found.exhaust()
        found.bisect(found.everything)
    assert found.forwards / len(some) >= times * row.extra["forwards"] / row.count


class Known(nn.Module):
    """Wrong from a size of each image on, with margins that say nothing of how far that is.

    Images are black but for the first pixel, which says which image it is and has no noise.
    """

    def __init__(self, sizes, margins):
        super().__init__()
        self.sizes = torch.tensor(sizes, dtype=torch.float64)
        self.margins = torch.tensor(margins, dtype=torch.float64)
        self.looks = []

    def forward(self, images):
        pixels = images.flatten(1).double()
        index = (pixels[:, 0] * 255).round().long()
        size = pixels[:, 1] * math.sqrt(783)
        self.looks += index.tolist()
        margin = self.margins[index, (size * 1e4).long() % 7]
        wrong = size >= self.sizes[index] - 1e-6
        return torch.stack([margin.where(~wrong, 0.0), margin.where(wrong, 0.0)], 1)


def all_but_the_first_pixel(images, generator):
    """Return noise for ``Known``."""
    noise = torch.ones_like(images)
    noise[:, :, 0, 0] = 0
    return noise


SIDEWAYS = Noise("sideways", all_but_the_first_pixel)


def known_images(count):
    """Return images that ``Known`` distinguishes."""
    images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return LabelledImages(images, torch.zeros(count, dtype=torch.int64))


SIZES = st.one_of(st.floats(0, 27.9), st.sampled_from([0.0, 5.0, 27.0, math.inf]))


@pytest.mark.slow
@pytest.mark.system
@settings(max_examples=50, deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=60), st.integers(0, 1000), st.integers(0, 3))
def test_no_guess_changes_what_is_found(sizes, seed, kind):
    margins = torch.rand(len(sizes), 7, generator=generator(seed)).double() + 1e-9
    margins[margins < 0.5 * (kind > 0)] = (1.0, 1e-300, math.inf, 1e30)[kind]
    model, data = Known(sizes, margins.tolist()), known_images(len(sizes))
    with torch.no_grad():
        found = size_search.start(model, data, SIDEWAYS, stream(), PRECISION)
        first, middle, last = ranks(len(sizes))
        median_search.find_ranks(found, first, middle, last)
    in_order = [0.0, *sorted(sizes), math.inf]
    for rank in (first, middle, last):
        low, high = found.bracket(rank)
        assert low - 1e-5 <= in_order[rank] <= high + 1e-5
        assert low == high or high - low <= PRECISION
    assert found.forwards == len(model.looks)


def test_where_most_are_right_at_any_size_the_others_are_not_looked_at():
    model, data = Known([math.inf] * 240, [[1.0] * 7] * 240), known_images(240)
    row = median_perturbation_size(model, data, SIDEWAYS, stream())
    assert math.isinf(row.value) and math.isinf(row.extra["low"]) and "never" not in row.extra
    assert row.extra["forwards"] == len(model.looks) < 2 * 240
    counted = median_perturbation_size(model, data, SIDEWAYS, stream(), count_never=True)
    assert counted.extra["never"] == 240 and counted.value == row.value


@pytest.mark.parametrize("count", [1, 2, 10, 60, 1000])
def test_the_sample_is_spread_over_the_images(count):
    order = median_search.spread(count)
    assert torch.equal(order.sort().values, torch.arange(count))
    sample = order[: max(10, count // 20)].sort().values
    if count >= 60:
        gaps = torch.cat([sample, torch.tensor([count])]).diff()
        assert gaps.max() <= 3.5 * count / len(sample)


def test_images_that_are_wrong_already_have_size_0():
    data = greys([200] * 6 + [100] * 5)
    assert perturbation_sizes(Linear(), data, BRIGHTER, stream())[:6].eq(0).all()
    row = median_perturbation_size(Linear(), data, BRIGHTER, stream())
    assert (row.value, row.extra["already_wrong"], row.extra["saturated"]) == (0.0, 6, 0)


def test_images_that_never_are_have_size_infinity():
    data = greys([100] * 11)
    assert perturbation_sizes(Linear(), data, DARKER, stream()).isinf().all()
    for search in ("auto", "per image"):
        row = median_perturbation_size(
            Linear(), data, DARKER, stream(), search=search, count_never=True
        )
        assert math.isinf(row.value) and row.extra["never"] == row.extra["saturated"] == 11


def test_a_saturated_image_stays_at_the_end_of_its_reach():
    black = greys([0] * 7)
    for search in ("auto", "per image"):
        row = median_perturbation_size(Linear(), black, NOISES["speckle"], stream(), search=search)
        assert row.extra["never"] == 7 and math.isinf(row.value) and row.extra["forwards"] == 7
    # The lighter ones reach white, at a size the darker ones pass on their way to grey.
    mixed = greys([120] * 3 + [20] * 8)
    light = Linear()
    light.forward = lambda images: Linear.forward(light, images - 0.499)
    row = median_perturbation_size(light, mixed, BRIGHTER, stream())
    assert row.extra["saturated"] == 3 and row.value == pytest.approx(
        28 * (0.999 - 20 / 255), abs=2e-3
    )


def test_a_class_that_comes_back_is_seen_and_searched_per_image():
    model, data = Shell((3.0, 6.0)), greys([128] * 50)
    row = median_perturbation_size(model, data, BRIGHTER, stream())
    assert (
        row.extra["sampled"] > 30
        and row.extra["non_monotone"] > 15
        and share_non_monotone(row) > 40
    )
    assert row.extra["per_image"] and row.extra["never"] == 0
    assert 3.0 <= row.value <= 3.0 + PRECISION + 1e-5
    # The two spans look alike to a bisection that starts far out; the search finds the nearer.
    sizes = perturbation_sizes(Shell((2.0, 3.0), (6.0, 99.0)), data, BRIGHTER, stream())
    assert ((sizes >= 2) & (sizes <= 2 + PRECISION + 1e-5)).all()
    asked = median_perturbation_size(model, data, BRIGHTER, stream(), search="per image")
    assert (asked.value, asked.extra["low"], asked.extra["high"]) == (
        row.value,
        row.extra["low"],
        row.extra["high"],
    )
    assert asked.extra["per_image"] and asked.extra["sampled"] == asked.extra["non_monotone"] == 0
    trusting = median_perturbation_size(model, data, BRIGHTER, stream(), tolerance=1.0)
    assert (
        not trusting.extra["per_image"]
        and math.isinf(trusting.value)
        and trusting.extra["non_monotone"] > 5
    )


@pytest.mark.system
@pytest.mark.parametrize(("hidden", "searched"), [(2, False), (90, True)])
def test_many_images_are_asked_before_all_are_searched(hidden, searched):
    class SomeHide(Known):
        """Of some images, those of the first numbers, a span is wrong far below the median."""

        def forward(self, images):
            answers = super().forward(images)
            pixels = images.flatten(1).double()
            index, size = (pixels[:, 0] * 255).round().long(), pixels[:, 1] * math.sqrt(783)
            hides = (index % 2 == 0) & (index < 2 * hidden) & (size >= 1.0) & (size < 8.0)
            return torch.where(hides[:, None], torch.tensor([0.0, 1.0]), answers)

    # Those of even numbers are above the median.
    sizes = [20.0 + i / 100 if i % 2 == 0 else 10.0 + i / 100 for i in range(250)]
    model = SomeHide(sizes, [[1.0] * 7] * 250)
    row = median_perturbation_size(model, known_images(250), SIDEWAYS, stream())
    assert row.extra["per_image"] == searched
    assert row.extra["sampled"] in (12, 60) and (row.extra["sampled"] == 60) == (
        row.extra["non_monotone"] > 0
    )
    if searched:
        assert row.value == pytest.approx(10.69, abs=2 * PRECISION)  # 90 hide, then come 35


def test_noises_are_what_their_names_say():
    images = torch.full((50, 1, 28, 28), 0.5)
    images[:, :, :14] = 0
    drawn = {name: noise.sample(images, stream()) for name, noise in NOISES.items()}
    assert drawn["gaussian"].std() == pytest.approx(1, abs=0.02)
    assert drawn["uniform"].std() == pytest.approx(1 / math.sqrt(3), abs=0.02)
    assert drawn["uniform"].abs().max() <= 1
    assert drawn["speckle"][:, :, :14].abs().max() == 0
    assert drawn["speckle"][:, :, 14:].std() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("count", [1, 5, 6, 20, 101])
def test_the_interval_covers_the_median_in_95_of_100(count):
    first, middle, last = ranks(count)
    below = sum(math.comb(count, k) for k in range(first)) / 2**count
    assert 1 - 2 * below >= 0.95
    assert first < 1 or 1 - 2 * (below + math.comb(count, first) / 2**count) < 0.95
    assert middle == -(-count // 2) and last == count + 1 - first


def test_equal_seeds_give_equal_bits_and_the_model_is_restored(mnist):
    model = nn.Sequential(nn.Dropout(0.5), SmallCNN()).train()
    before = torch.get_rng_state()
    rows = [
        median_perturbation_size(model, mnist[1][:40], NOISES["gaussian"], stream())
        for _ in range(2)
    ]
    assert rows[0] == rows[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training and model[0].training
    assert all(parameter.requires_grad for parameter in model.parameters())


class Sharp(Linear):
    """The same classes with certainty, as a trained classifier has it."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        return self.factor * super().forward(images)


@pytest.mark.system
@pytest.mark.parametrize("kernel_size", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_generator_trained_alone_fools_more_with_the_same_bits(kernel_size):
    model, data = Sharp(), greys([60, 80, 100, 110] * 10)
    method = ANT(epsilon=5.0, kernel_size=kernel_size, pretraining_learning_rate=5e-3)
    budget = {"batch_size": 20, "block": 10, "max_blocks": 3}
    first, second = (adversarial_noise(model, data, method, 0, **budget) for _ in range(2))
    assert first.losses == second.losses and first.losses[-1] > first.losses[0]
    weights = [found.generator.state_dict().values() for found in (first, second)]
    assert all(map(torch.equal, *weights))
    assert not first.converged and len(first.losses) == 3
    assert model.factor == 10 and model.factor.grad is None and model.factor.requires_grad
    assert first.noise.name == f"adversarial_{kernel_size}x{kernel_size}"
    row = median_perturbation_size(model, data, first.noise, stream())
    plain = median_perturbation_size(model, data, NOISES["gaussian"], stream())
    assert row.setting == first.noise.name and row.value < plain.value


def test_training_alone_ends_at_a_plateau(mnist):
    found = adversarial_noise(
        SmallCNN(), mnist[1][:20], ANT(epsilon=1.0), 0,
        batch_size=20, block=1, patience=2, min_improvement=100.0,
    )  # fmt: skip
    assert found.converged and len(found.losses) == 3


def test_bad_input_is_named(mnist):
    with pytest.raises(ValueError, match=r"no images; precision must .* got 0.0; tolerance must"):
        median_perturbation_size(
            Linear(), mnist[1][:0], BRIGHTER, stream(), precision=0.0, tolerance=2.0
        )
    with pytest.raises(ValueError, match="precision must be a finite number"):
        perturbation_sizes(Linear(), mnist[1][:5], BRIGHTER, stream(), precision=math.nan)
    with pytest.raises(ValueError, match="images must be at least 1, got 0; block must"):
        adversarial_noise(Linear(), mnist[1][:0], ANT(epsilon=1.0), 0, block=0)
