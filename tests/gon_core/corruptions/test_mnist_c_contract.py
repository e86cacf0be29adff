"""What `corrupt` promises for every one of the fifteen names."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gon_core.corruptions.mnist_c import BLOCK, CORRUPTIONS, FUNCTIONS, corrupt

DETERMINISTIC = ("scale", "brightness", "stripe", "canny_edges")
RANDOM = tuple(name for name in CORRUPTIONS if name not in DETERMINISTIC)


def test_names_are_those_of_the_paper():
    assert " ".join(CORRUPTIONS) == (
        "shot_noise impulse_noise glass_blur motion_blur shear scale rotate brightness translate "
        "stripe fog spatter dotted_line zigzag canny_edges"
    )


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_new_uint8_images_and_nothing_else_changes(digits, name):
    images = digits[:120].clone()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    corrupted = corrupt(images, name, seed=0)
    assert corrupted.dtype == torch.uint8 and corrupted.shape == images.shape
    assert torch.equal(images, digits[:120])
    assert not torch.equal(corrupted, images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    assert torch.equal(corrupt(images, name, seed=0), corrupted)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_only_random_corruptions_depend_on_the_seed(digits, name):
    same = torch.equal(corrupt(digits[:20], name, seed=0), corrupt(digits[:20], name, seed=1))
    assert same == (name in DETERMINISTIC)


@pytest.mark.parametrize("name", RANDOM)
def test_blocks_do_not_repeat_each_other(digits, name):
    twice = torch.cat([digits[:BLOCK], digits[:BLOCK]])
    corrupted = corrupt(twice, name, seed=0)
    assert not torch.equal(corrupted[:BLOCK], corrupted[BLOCK:])


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(CORRUPTIONS),
    seed=st.integers(-(2**70), 2**70),
    count=st.integers(0, 2 * BLOCK + 10),
)
def test_a_prefix_is_corrupted_as_in_the_whole_set(digits, name, seed, count):
    whole = corrupt(digits[: 2 * BLOCK + 10], name, seed)
    assert torch.equal(corrupt(digits[:count], name, seed), whole[:count])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_shard_is_corrupted_as_in_the_whole_set(digits, name):
    whole = corrupt(digits[: 2 * BLOCK + 10], name, seed=5)
    shard = corrupt(digits[BLOCK : 2 * BLOCK + 10], name, seed=5, first=BLOCK)
    assert torch.equal(shard, whole[BLOCK:])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("level", [0, 255])
def test_flat_images_are_no_special_case(name, level):
    flat = torch.full((3, 28, 28), level, dtype=torch.uint8)
    assert corrupt(flat, name, seed=0).shape == flat.shape
    corrupted = FUNCTIONS[name](flat.float() / 255, torch.Generator().manual_seed(0))
    assert corrupted.isfinite().all()


@pytest.mark.parametrize("name", CORRUPTIONS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_functions_stay_between_zero_and_one(name, seed):
    noise = torch.rand(7, 28, 28, generator=torch.Generator().manual_seed(seed))
    corrupted = FUNCTIONS[name](noise.clone(), torch.Generator().manual_seed(seed))
    assert corrupted.shape == noise.shape and corrupted.dtype == torch.float32
    assert corrupted.min() >= -1e-6 and corrupted.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_functions_leave_their_input_alone(digits, name):
    images = digits[:5].float() / 255
    before = images.clone()
    FUNCTIONS[name](images, torch.Generator().manual_seed(0))
    assert torch.equal(images, before)


def test_strided_images_are_accepted(digits):
    mirrored = digits[:10].flip(2).transpose(1, 2)
    for name in CORRUPTIONS:
        expected = corrupt(mirrored.contiguous(), name, seed=0)
        assert torch.equal(corrupt(mirrored, name, seed=0), expected)


@pytest.mark.parametrize(
    ("images", "name", "first", "message"),
    [
        (torch.zeros(1, 28, 28, dtype=torch.uint8), "glas_blur", 0, "nearest is 'glass_blur'"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), "identity", 0, "must be one of shot_noise, "),
        (torch.zeros(1, 28, 28), "fog", 0, "must be uint8 .* got torch.float32"),
        (torch.zeros(28, 28, dtype=torch.uint8), "fog", 0, r"\[n, 28, 28\], got \[28, 28\]"),
        (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), "fog", 0, r"got \[1, 1, 28, 28\]"),
        (torch.zeros(1, 32, 32, dtype=torch.uint8), "fog", 0, r"got \[1, 32, 32\]"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), "fog", 7, f"multiple of {BLOCK}, got 7"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), "fog", -BLOCK, "non-negative"),
    ],
)
def test_bad_arguments_are_refused_with_the_rule_and_the_value(images, name, first, message):
    with pytest.raises(ValueError, match=message):
        corrupt(images, name, seed=0, first=first)
