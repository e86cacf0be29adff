"""The noise generator: its size, its first noise, how far its pixels know of each other."""

import itertools

import pytest
import torch
from scipy import stats
from torch import nn

from gon_core import paper
from gon_core.noise import NoiseGenerator
from gon_core.noise import generator as module
from gon_core.seeding import generator

GREY = torch.full((50, 1, 28, 28), 0.5)
ALL = [(depth, size) for depth in range(1, 9) for size in (1, 3) if (depth, size) != (1, 3)]


def network(channels=1, depth=4, kernel_size=1, seed=0):
    """Return a generator with fixed first weights."""
    return NoiseGenerator(channels, depth, kernel_size, generator(seed, "generator weights"))


def strong(channels, depth, kernel_size):
    """Return a generator whose layers do so much that the input shows little in the output."""
    grown = network(channels, depth, kernel_size)
    with torch.no_grad():
        for layer in grown.layers:
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0, (4 / fan_in) ** 0.5, generator=generator(9, fan_in))
            layer.bias.normal_(0, 0.3, generator=generator(8, fan_in))
    return grown


def count(module):
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def correlation(noise, rows, columns):
    """Return the correlation between pixels that far apart."""
    noise = noise - noise.mean()
    height, width = noise.shape[2:]
    a = noise[:, :, : height - rows, : width - columns]
    b = noise[:, :, rows:, columns:]
    return (a * b).mean() / noise.var()


def test_parameter_counts_are_the_papers():
    table = paper.load("generator_depth_imagenet_c").to_pylist()
    published = {
        int(row["generator_depth"]): int(row["generator_parameters"])
        for row in table
        if row["generator_depth"]
    }
    assert published == {1: 12, 2: 143, 3: 563, 4: 983, 5: 1403}
    assert {depth: count(network(3, depth)) for depth in published} == published


def test_the_default_is_table_1_and_kernel_size_3_is_table_2():
    def shapes(network):
        return [tuple(layer.weight.shape) for layer in network.layers]

    assert shapes(NoiseGenerator()) == [
        (20, 3, 1, 1),
        (20, 20, 1, 1),
        (20, 20, 1, 1),
        (3, 20, 1, 1),
    ]
    assert shapes(NoiseGenerator(kernel_size=3))[1] == (20, 20, 3, 3)
    assert count(NoiseGenerator(kernel_size=3)) == 983 + 8 * 400
    assert list(network(depth=2).state_dict()) == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
    ]  # fmt: skip


@pytest.mark.parametrize(("depth", "kernel_size"), ALL)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pixels", [1, 130, 8192])  # one image at a time, two of three, all
def test_noise_and_gradients_are_those_of_plain_convolutions(
    monkeypatch, channels, depth, kernel_size, pixels
):
    monkeypatch.setattr(module, "PIXELS", pixels)
    ours = strong(channels, depth, kernel_size)
    noise = torch.randn(3, channels, 9, 7, generator=generator(0, "noise"))
    textbook = nn.Sequential(*itertools.chain(*((layer, nn.ReLU()) for layer in ours.layers)))[:-1]
    inner = noise if kernel_size == 1 else noise[:, :, 1:-1, 1:-1]
    expected = inner + textbook(noise)
    result = ours(noise)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)

    gradients = [
        torch.autograd.grad(output.square().sum(), list(ours.parameters()))
        for output in (result, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())


@pytest.mark.parametrize(("depth", "kernel_size"), ALL)
def test_at_the_start_it_is_gaussian_noise(depth, kernel_size):
    start = network(1, depth, kernel_size)
    noise = start.sample(GREY, generator(0, "noise")).detach().double().flatten()
    assert stats.kstest(noise.numpy(), "norm").pvalue > 0.001 or depth == 1
    assert noise.mean().abs() < 0.02 and abs(noise.std() - 1) < 0.03
    size = 28 + 2 * start.margin
    given = torch.randn(9, 1, size, size, generator=generator(1, "noise"))
    inner = given[:, :, start.margin : size - start.margin, start.margin : size - start.margin]
    both = torch.stack([start(given).detach().flatten(), inner.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.999


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_pixels_correlate_within_the_kernel_alone(kernel_size):
    images = torch.zeros(300, 1, 28, 28)
    noise = strong(1, 4, kernel_size).sample(images, generator(2, "noise")).detach().double()
    limit = 4 / noise.numel() ** 0.5
    near = [correlation(noise, *apart).abs() for apart in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 2))]
    far = [correlation(noise, *apart).abs() for apart in ((0, 3), (3, 0), (3, 3), (0, 5), (7, 1))]
    assert all(value < limit for value in far)
    if kernel_size == 1:
        assert all(value < limit for value in near)
    else:
        assert near[0] > 5 * limit and near[1] > 5 * limit


@pytest.mark.parametrize(("kernel_size", "reach"), [(1, 0), (3, 1)])
def test_a_pixel_sees_its_own_neighbourhood(kernel_size, reach):
    noise = torch.randn(1, 1, 11 + 2 * reach, 11 + 2 * reach, generator=generator(0, "noise"))
    changed = noise.clone()
    changed[0, 0, 5 + reach, 5 + reach] += 1
    grown = strong(1, 4, kernel_size)
    rows, columns = (grown(changed) - grown(noise))[0, 0].nonzero().T
    assert (rows.min(), rows.max()) == (5 - reach, 5 + reach)
    assert (columns.min(), columns.max()) == (5 - reach, 5 + reach)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (2, 3, 6, 9), (0, 1, 4, 4), (1, 2, 1, 1)])
def test_a_sample_has_the_images_shape_and_the_streams_bits(shape, kernel_size):
    images = torch.zeros(shape)
    grown = network(shape[1], 4, kernel_size)
    stream = generator(3, "noise")
    first = grown.sample(images, stream)
    assert first.shape == images.shape and first.dtype == images.dtype
    assert torch.equal(first, grown.sample(images, generator(3, "noise")))
    if images.numel():
        assert not torch.equal(first, grown.sample(images, stream))


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_fed_as_gaussian_noise_training_draws_it(channels):
    images = torch.empty(20, channels, 28, 28)
    given = torch.empty_like(images).normal_(generator=generator(4, "noise"))
    grown = network(channels)
    assert torch.equal(grown.sample(images, generator(4, "noise")), grown(given))
    other_order = given.clone(memory_format=torch.channels_last)
    torch.testing.assert_close(grown(other_order), grown(given), rtol=0, atol=1e-6)


def test_first_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second = network(seed=1), network(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    other = network(seed=2)
    assert not torch.equal(first.layers[0].weight, other.layers[0].weight)
    default = NoiseGenerator(1)
    seeded = NoiseGenerator(1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(default.layers[3].weight, seeded.layers[3].weight)


def test_first_weights_are_normal_with_deviation_one_hundredth_and_biases_zero():
    layers = network(3, 8, 3).layers
    weights = torch.cat([layer.weight.detach().flatten() for layer in layers]).double()
    assert stats.kstest(weights.numpy() / 0.01, "norm").pvalue > 0.01
    assert weights.std().item() == pytest.approx(0.01, rel=4 / (2 * len(weights)) ** 0.5)
    assert all((layer.bias == 0).all() for layer in layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "channels must be >= 1, got 0"),
        ((3, 0), "depth must be from 1 to 8, got 0"),
        ((3, 9), "depth must be from 1 to 8, got 9"),
        ((3, 4, 2), "kernel_size must be 1 or 3, got 2"),
        ((3, 1, 3), "kernel_size 3 takes a depth of at least 2"),
        ((-1, 12, 5), "channels .* got -1; depth .* got 12; kernel_size .* got 5"),
    ],
)
def test_arguments_out_of_range_are_refused_all_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        NoiseGenerator(*arguments)
