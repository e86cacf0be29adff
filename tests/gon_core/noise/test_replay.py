"""Experience replay: which past generators play, on which images, with which noise."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from gon_core.noise import NoiseGenerator, Replay
from gon_core.seeding import generator

IMAGES = torch.full((6, 1, 28, 28), 0.5)


def network(seed, **architecture):
    """Return a generator that is far from Gaussian noise."""
    made = NoiseGenerator(1, **architecture, generator=generator(seed))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.3, generator=generator(seed, "more"))
    return made


def replay_of(count, **architecture):
    """Return so many generators, and a replay of them."""
    networks = [network(seed, **architecture) for seed in range(count)]
    replay = Replay(networks[0])
    for past in networks:
        replay.add(past)
    return networks, replay


def in_use(replay):
    """Return the parameters of the two generators that are in use."""
    return [parameters_to_vector(part.network.parameters()) for part in replay._in_use]


@pytest.mark.parametrize("architecture", [{}, {"depth": 1}, {"depth": 3, "kernel_size": 3}])
def test_half_of_the_images_get_the_noise_of_each_of_two_generators(architecture):
    networks, replay = replay_of(2, **architecture)
    replay.choose(generator(0, "choice"))
    found = replay.sample(IMAGES, generator(0, "noise"))
    noise = generator(0, "noise")
    first, second = torch.randperm(2, generator=generator(0, "choice")).tolist()
    with torch.no_grad():
        halves = [networks[first].sample(IMAGES[:3], noise)]
        halves += [networks[second].sample(IMAGES[3:], noise)]
    assert torch.equal(found, torch.cat(halves))
    assert not found.requires_grad


def test_all_of_the_past_is_drawn_evenly_and_two_differ():
    _, replay = replay_of(5)
    choice, drawn = generator(0, "choice"), []
    for _ in range(500):
        replay.choose(choice)
        for used in in_use(replay):
            drawn.append((replay.states == used).all(1).nonzero().item())
    assert all(first != second for first, second in zip(drawn[::2], drawn[1::2], strict=True))
    for half in (drawn[::2], drawn[1::2]):
        counts = torch.bincount(torch.tensor(half), minlength=5)
        assert (counts - 100).abs().max() < 4 * (500 * 0.2 * 0.8) ** 0.5


def test_the_same_streams_replay_the_same_noise():
    _, replay = replay_of(3)
    torch.manual_seed(0)
    untouched = torch.get_rng_state()

    def replayed(choice, noise):
        replay.choose(choice)
        return replay.sample(IMAGES, noise)

    found = [replayed(generator(seed), generator(9)) for seed in (1, 1)]
    assert torch.equal(*found) and torch.equal(torch.get_rng_state(), untouched)
    choice, noise = generator(1), generator(9)
    first, second = (replayed(choice, noise) for _ in range(2))
    assert torch.equal(first, found[0]) and not torch.equal(first, second)


@pytest.mark.parametrize(("images", "halves"), [(1, [1]), (2, [1, 1]), (5, [3, 2])])
def test_an_odd_image_goes_to_the_first_half(images, halves):
    _, replay = replay_of(2)
    replay.choose(generator(0))
    found, noise = replay.sample(IMAGES[:images], generator(0)), generator(0)
    parts = zip(replay._in_use, IMAGES[:images].split(halves), strict=False)
    expected = [each.network.sample(part, noise) for each, part in parts]
    assert [len(part) for part in expected] == halves and torch.equal(found, torch.cat(expected))


def test_a_single_past_generator_takes_both_halves():
    (only,), replay = replay_of(1)
    replay.choose(generator(0))
    found = replay.sample(IMAGES, generator(1))
    noise = generator(1)
    with torch.no_grad():
        expected = torch.cat([only.sample(IMAGES[:3], noise), only.sample(IMAGES[3:], noise)])
    assert torch.equal(found, expected)


def test_what_was_added_stays_as_it_was():
    networks, replay = replay_of(2)
    states = replay.states.clone()
    with torch.no_grad():
        for parameter in networks[0].parameters():
            parameter.zero_()
    replay.choose(generator(0))
    replay.sample(IMAGES, generator(0))
    assert len(replay) == 2 and torch.equal(replay.states, states)
    assert torch.equal(states[1], parameters_to_vector(networks[1].parameters()))
    assert not replay.states.requires_grad


def test_without_a_past_there_is_nothing_to_replay():
    replay = Replay(network(0))
    assert len(replay) == 0 and replay.states.shape[1] == sum(
        parameter.numel() for parameter in network(0).parameters()
    )
    with pytest.raises(ValueError, match="no past generator"):
        replay.choose(generator(0))
