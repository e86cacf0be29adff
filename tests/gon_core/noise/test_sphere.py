"""The epsilon sphere: an exact size, an exact gradient, and what no factor can reach."""

import functools
import math
import os
import shutil
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gon_core.noise import newton, scale_to_sphere, scale_to_sphere_checked, solver_name
from gon_core.seeding import generator


@pytest.fixture(scope="module", params=["eager", pytest.param("fused", marks=pytest.mark.system)])
def kind(request):
    """Either kind of kernels; the name of the one in use."""
    kernels = of_kind(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newton, "solver", lambda device_type: kernels)
        yield request.param


@pytest.fixture
def eager(monkeypatch):
    """Kernels that need no compiler."""
    monkeypatch.setattr(newton, "solver", lambda device_type: newton.EAGER)


@functools.cache
def of_kind(name):
    """Return the kernels, compiled once; skip where there is no compiler."""
    if name == "eager":
        return newton.EAGER
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GON_FUSION", "auto")
        kernels = newton.choose("cpu")
    if kernels.name != "fused":
        assert not shutil.which("g++"), "there is a compiler, and it is not used"
        pytest.skip("torch.compile does not work here")
    return kernels


def sort_based(images, delta, epsilon):
    """Return the noisy images as they are usually found: sort where pixels clip, then look up.

    For noise without zeros and an epsilon that can be attained.
    """
    rows, noise = images.flatten(1), delta.flatten(1)
    room = torch.where(noise >= 0, 1 - rows, rows)
    ends, order = (room / noise.abs()).square().sort(1)
    taken = room.square().gather(1, order).cumsum(1)
    free = noise.square().gather(1, order).flip(1).cumsum(1).flip(1)
    sizes = ends * free + taken - room.square().gather(1, order)  # g where each pixel clips
    first = (sizes < epsilon**2).sum(1, keepdim=True)
    before = torch.nn.functional.pad(taken, (1, 0)).gather(1, first)
    eta = ((epsilon**2 - before) / free.gather(1, first)).sqrt()
    return (rows + eta * noise).clamp(0, 1).reshape(images.shape)


def sizes(images, noisy):
    """Return the l2 distances, in float64."""
    return (noisy.double() - images.double()).flatten(1).norm(dim=1)


def farthest(images, delta):
    """Return the greatest sizes that can be attained."""
    images = images.double()
    room = torch.where(delta > 0, 1 - images, torch.where(delta < 0, images, 0.0))
    return room.flatten(1).norm(dim=1)


def batch(seed, shape=(6, 1, 28, 28)):
    """Return images of which a third is 0 and a third 1, as digits have, and normal noise."""
    stream = generator(seed, "sphere")
    images = (3 * torch.rand(shape, generator=stream) - 1).clamp(0, 1)
    return images, torch.randn(shape, generator=stream)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(2, 5), st.integers(1, 3), st.integers(2, 9), st.integers(1, 9)),
    share=st.floats(0.2, 0.99999),
    power=st.sampled_from([0, 1, 1, 2, 3]),
    exponent=st.integers(-12, 12),
)
def test_every_attainable_size_is_met_exactly(kind, seed, shape, share, power, exponent):
    images, delta = batch(seed, shape)
    delta = 10.0**exponent * delta**power
    epsilon = share * farthest(images, delta).float()
    noisy, unattainable = scale_to_sphere_checked(images, delta, epsilon)
    assert ((noisy >= 0) & (noisy <= 1)).all() and not unattainable.any()
    rounding = 6e-8 * math.sqrt(images[0].numel()) / epsilon  # of the pixels, below 1
    assert ((sizes(images, noisy) / epsilon - 1).abs() <= 1e-6 + rounding)[epsilon > 0].all()
    # All pixels move along delta, and no pixel that could go farther is behind another.
    moved = noisy - images
    assert (moved * delta.sign() >= 0).all()


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0, 10.0, 14.0])
def test_digits_meet_the_size_to_two_millionths(kind, mnist, epsilon):
    images = mnist[1].images[:150].float() / 255
    delta = torch.randn(images.shape, generator=generator(0, "digits"))
    noisy, unattainable = scale_to_sphere_checked(images, delta, epsilon)
    assert not unattainable.any()
    assert (sizes(images, noisy) / epsilon - 1).abs().max() <= 2e-6


@pytest.mark.parametrize("power", [1, 3, 6])
def test_an_epsilon_that_is_only_just_attainable_takes_more_calls(kind, mnist, power):
    images = mnist[1].images[:60].float() / 255
    normal = torch.randn(images.shape, generator=generator(1, "digits"))
    delta = normal.sign() * (normal.abs() ** power).clamp(min=1e-9)  # up to 12 decades apart
    share = torch.tensor([0.99, 0.9999, 0.999999, 1.000001, 1.0001]).repeat(12).double()
    epsilon = (share * farthest(images, delta)).float()
    noisy, unattainable = scale_to_sphere_checked(images, delta, epsilon)
    assert torch.equal(unattainable, share > 1)
    assert torch.equal(scale_to_sphere(images, delta, epsilon, fixed_steps=True), noisy)
    attained = share.clamp(max=1) * farthest(images, delta)
    assert (sizes(images, noisy) / attained - 1).abs().max() <= 2e-6
    # Nobody waits for the others: easy images among them are what they are alone.
    epsilon[::2] = 5.0
    among = scale_to_sphere(images, delta, epsilon)
    assert torch.equal(among[::2], scale_to_sphere(images[::2], delta[::2], 5.0))


@pytest.mark.parametrize("epsilon", [10.0, 70.0, 135.0, 200.0])
@pytest.mark.parametrize(
    "name",
    ["eager", pytest.param("fused", marks=pytest.mark.slow)],  # another compilation
)
def test_photos_meet_the_size_to_two_millionths(monkeypatch, name, epsilon):
    monkeypatch.setattr(newton, "solver", lambda device_type: of_kind(name))
    images, delta = batch(0, (2, 3, 224, 224))
    noisy = scale_to_sphere(images, delta, epsilon)
    assert (sizes(images, noisy) / epsilon - 1).abs().max() <= 2e-6


@pytest.mark.parametrize("epsilon", [0.5, 5.0, 12.0])
def test_images_and_gradient_are_those_of_the_sort_based_solution(kind, epsilon):
    images, delta = batch(1)
    weights = torch.randn(images.shape, generator=generator(1, "weights"))
    results = []
    for solution in (scale_to_sphere, sort_based):
        # The other solution in float64: in float32 its cumulative sums are off by 1e-5.
        dtype = torch.float64 if solution is sort_based else torch.float32
        noise = delta.to(dtype, copy=True).requires_grad_()
        noisy = solution(images.to(dtype), noise, epsilon)
        (noisy * weights).sum().backward()
        results.append((noisy.detach().float(), noise.grad.float()))
    (ours, our_gradient), (theirs, their_gradient) = results
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
    torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_the_gradient_is_that_of_finite_differences(epsilon, scale):
    images, delta = batch(2, (3, 2, 2, 3))
    share = epsilon * farthest(images, delta)
    noise = (scale * delta.double()).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda noise: scale_to_sphere(images.double(), noise, share), noise, eps=1e-6 * scale
    )


def test_the_gradient_has_no_part_along_delta_and_none_on_clipped_pixels(kind):
    images, delta = batch(3)
    noise = delta.clone().requires_grad_()
    noisy = scale_to_sphere(images, noise, 10.0)
    (noisy * torch.linspace(-1, 1, 784).view(28, 28)).sum().backward()
    along = (noise.grad * delta).flatten(1).double().sum(1)
    assert (along.abs() < 1e-4 * noise.grad.flatten(1).norm(dim=1)).all()
    clipped = (noisy == 0) | (noisy == 1)
    assert clipped.float().mean() > 0.3
    assert (noise.grad[clipped] == 0).all() and (noise.grad[~clipped] != 0).float().mean() > 0.99


def test_only_the_direction_of_delta_matters(kind):
    images, delta = batch(4)
    expected = scale_to_sphere(images, delta, 8.0)
    for scale in (1e-12, 1e-25, 1e12, 1e30):
        torch.testing.assert_close(
            scale_to_sphere(images, scale * delta, 8.0), expected, rtol=0, atol=1e-6
        )


def test_each_image_has_its_own_epsilon_and_does_not_see_the_others(kind):
    images, delta = batch(5)
    epsilon = torch.tensor([0.0, 0.3, 2.0, 9.0, 13.0, 40.0])
    noisy, unattainable = scale_to_sphere_checked(images, delta, epsilon)
    assert torch.equal(noisy[0], images[0])
    assert unattainable.tolist() == [False] * 5 + [True]
    torch.testing.assert_close(sizes(images, noisy)[:5], epsilon[:5].double(), rtol=2e-6, atol=0)
    for pair in (slice(0, 2), slice(2, 4), slice(4, 6)):
        alone = scale_to_sphere(images[pair], delta[pair], epsilon[pair])
        assert torch.equal(alone, noisy[pair])


def test_what_cannot_be_attained_is_approached_counted_and_gives_no_gradient(kind):
    images, delta = batch(6)
    delta[:, :, ::2] = 0
    most = farthest(images, delta)
    share = torch.tensor([0.5, 0.99999, 1.00001, 1.5, 10.0, 1e6])
    noise = delta.clone().requires_grad_()
    noisy, unattainable = scale_to_sphere_checked(images, noise, (share * most).float())
    assert unattainable.tolist() == [False, False, True, True, True, True]
    attained = torch.minimum(share.double(), torch.tensor(1.0)) * most
    torch.testing.assert_close(sizes(images, noisy), attained, rtol=2e-6, atol=0)
    assert torch.equal(noisy[:, :, ::2], images[:, :, ::2])
    noisy.square().sum().backward()
    assert torch.isfinite(noise.grad).all()
    assert (noise.grad[unattainable] == 0).all() and (noise.grad[0] != 0).any()


def edge(pixels, noise, epsilon, expected, unattainable):
    """Return a case of one image of four pixels."""
    return (*(torch.tensor(x).view(1, 1, 2, 2) for x in (pixels, noise)), epsilon,
            torch.tensor(expected).view(1, 1, 2, 2), unattainable)  # fmt: skip


GREY = [0.5, 0.5, 0.5, 0.5]
EDGES = {
    "all zero": edge(GREY, [0.0, 0.0, -0.0, 0.0], 1.0, GREY, True),
    "all zero, epsilon zero": edge(GREY, [0.0] * 4, 0.0, GREY, False),
    "epsilon zero": edge(GREY, [1.0, -1.0, 2.0, 0.0], 0.0, GREY, False),
    "zeros, unattainable": edge(GREY, [1.0, -1.0, 0.0, 0.0], 2.0, [1.0, 0.0, 0.5, 0.5], True),
    "the farthest exactly": edge(GREY, [1.0, -2.0, 3.0, -4.0], 1.0, [1.0, 0.0, 1.0, 0.0], False),
    "tiny": edge(GREY, [1e-12, -1e-12, 1e-12, -1e-12], 0.5, [0.75, 0.25, 0.75, 0.25], False),
    "subnormal": edge(GREY, [1e-40, -1e-40, 1e-40, -1e-40], 0.5, [0.75, 0.25, 0.75, 0.25], False),
    "huge": edge(GREY, [3e38, -3e38, 3e38, -3e38], 0.5, [0.75, 0.25, 0.75, 0.25], False),
    "wide": edge(GREY, [1.0, 1e-6, 1e-9, 1e-15], 0.9, [1.0, 1.0, 1.0, 0.5 + 0.06**0.5], False),
    "no room": edge([0.0, 1.0, 0.0, 1.0], [-1.0, 1.0, -2.0, 2.0], 0.3, [0.0, 1.0, 0.0, 1.0], True),
    "room for one": edge([0.0, 1.0, 0.0, 1.0], [-1.0, 1.0, 2.0, 2.0], 0.25,
                         [0.0, 1.0, 0.25, 1.0], False),
    "too far": edge(GREY, [1.0, -2.0, 3.0, -4.0], 1e30, [1.0, 0.0, 1.0, 0.0], True),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edge_cases_are_finite_forward_and_backward(kind, name):
    images, delta, epsilon, expected, missed = EDGES[name]
    # Two of it: a single image would be compiled anew.
    images, delta = (x.expand(2, 1, 2, 2) for x in (images, delta))
    noise = delta.clone().requires_grad_()
    noisy, unattainable = scale_to_sphere_checked(images, noise, epsilon)
    torch.testing.assert_close(noisy, expected.expand(2, 1, 2, 2), rtol=0, atol=2e-6)
    assert unattainable.tolist() == [missed] * 2
    (noisy * torch.tensor([[1.0, -2.0], [0.5, 3.0]])).sum().backward()
    assert torch.isfinite(noise.grad).all()


def test_nan_spreads_over_its_image_alone(kind):
    images, delta = batch(7)
    delta[2, 0, 5, 5] = math.nan
    noise = delta.clone().requires_grad_()
    noisy = scale_to_sphere(images, noise, 5.0)
    noisy.sum().backward()
    others = [0, 1, 3, 4, 5]
    assert noisy[2].isnan().all() and torch.isfinite(noisy[others]).all()
    assert noise.grad[2].isnan().any() and torch.isfinite(noise.grad[others]).all()


def test_the_arguments_are_left_as_they_are(kind):
    images, delta = batch(8)
    assert solver_name() == kind
    before = images.clone(), delta.clone()
    noisy = scale_to_sphere(images, delta, 5.0)
    assert torch.equal(images, before[0]) and torch.equal(delta, before[1])
    assert noisy.shape == images.shape and noisy.dtype == images.dtype
    assert torch.equal(scale_to_sphere(images, delta, 5.0), noisy)


def test_neither_memory_order_nor_autocast_nor_half_precision_noise_matters(kind):
    images, delta = batch(9, (4, 3, 8, 8))
    delta = delta.bfloat16()
    expected = scale_to_sphere(images, delta.float(), 3.0)
    noise = delta.clone(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        noisy = scale_to_sphere(images.clone(memory_format=torch.channels_last), noise, 3.0)
        noisy.sum().backward()  # its gradient has stride 0
    assert torch.equal(noisy, expected) and noise.grad.dtype == torch.bfloat16


def test_float64_is_exact_to_its_own_rounding(eager):
    images, delta = (x.double() for x in batch(10))
    noisy = scale_to_sphere(images, delta, 10.0)
    assert noisy.dtype == torch.float64
    assert (sizes(images, noisy) / 10 - 1).abs().max() < 1e-14


@pytest.mark.parametrize("count", [0, 1])
def test_small_batches(eager, count):
    images, delta = batch(11)
    noisy, unattainable = scale_to_sphere_checked(images[:count], delta[:count], 5.0)
    assert torch.equal(noisy, scale_to_sphere(images, delta, 5.0)[:count])
    assert unattainable.tolist() == [False] * count


@pytest.mark.parametrize("epsilon", [-1.0, math.nan, math.inf, torch.tensor([1.0, -1e-9])])
def test_an_epsilon_that_is_no_distance_is_refused(epsilon):
    images, delta = batch(12, (2, 1, 2, 2))
    with pytest.raises(ValueError, match="epsilon must be finite and >= 0, got"):
        scale_to_sphere(images, delta, epsilon)


def test_all_that_is_wrong_is_said_at_once():
    images, delta = batch(13, (2, 1, 2, 2))
    with pytest.raises(ValueError, match=r"float16; epsilon must .* -1.0; .* detach them"):
        scale_to_sphere(images.half().requires_grad_(), delta, -1.0)


@pytest.mark.system
@torch.no_grad()  # as inside scale_to_sphere
def test_the_two_kinds_differ_by_rounding_alone():
    images, delta = (x.flatten(1).clone() for x in batch(14))  # views are compiled anew
    column = torch.full((6, 1), 100.0)
    results = []
    for kernels in (of_kind("eager"), of_kind("fused")):
        noisy, u, moving, unattainable, *known = kernels.solve(images, delta, column, 0 * column)
        gradient = kernels.differentiate(delta.flip(0), noisy, delta, *known)
        results.append((noisy, gradient, u, *known))
        assert not moving and not unattainable.any()
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.system
def test_without_a_compiler_it_runs_eagerly_and_says_so(tmp_path):
    script = (
        "import torch\n"
        "from gon_core.noise import scale_to_sphere, solver_name\n"
        "scale_to_sphere(torch.rand(2, 1, 4, 4), torch.randn(2, 1, 4, 4), 1.0)\n"
        "print(solver_name(), solver_name())\n"
    )
    nowhere = {"CXX": str(tmp_path / "no compiler"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    environment = {key: value for key, value in os.environ.items() if key != "GON_FUSION"}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment | nowhere, capture_output=True, text=True
    )
    assert process.stdout.split() == ["eager", "eager"], process.stderr
    assert process.stderr.count("runs unfused") == 1


def test_the_environment_decides(monkeypatch):
    def broken(*tensors):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(newton, "fused", lambda: newton.Solver("fused", broken, broken))
    monkeypatch.setenv("GON_FUSION", "auto")
    assert newton.choose("cpu") is newton.EAGER
    monkeypatch.setenv("GON_FUSION", "fused")
    with pytest.raises(RuntimeError, match="no compiler"):
        newton.choose("cpu")
    monkeypatch.setenv("GON_FUSION", "eager")
    assert newton.choose("cpu") is newton.EAGER
    monkeypatch.setenv("GON_FUSION", "fast")
    with pytest.raises(ValueError, match="GON_FUSION must be auto, fused or eager, given: fast"):
        newton.choose("cpu")
