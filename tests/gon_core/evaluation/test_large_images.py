"""Photos of ImageNet's size: a batch of them in memory and no more, whatever is measured."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gon_core.benchmarks.cifar10 import TEST
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import NOISES, Noise, accuracy, attacks, median_perturbation_size
from gon_core.evaluation.corrupted_sets import CorruptedImages
from gon_core.evaluation.noise_directions import RedrawnDirections
from gon_core.evaluation.perturbation_size import perturbation_sizes
from gon_core.evaluation.size_search import start
from gon_core.seeding import generator

SIDE, COUNT = 128, 9


class Bright(nn.Module):
    """Class 1 where the mean level is above 0.5; it remembers how many images it saw at once."""

    def __init__(self):
        super().__init__()
        self.together = []

    def forward(self, images):
        self.together.append(len(images))
        above = images.flatten(1).mean(1) - 0.5
        return torch.stack([-above, above], 1)


class Spy:
    """Draws Gaussian noise with a mean, and remembers the largest batch that it was drawn for."""

    def __init__(self):
        self.together = 0

    def __call__(self, images, generator):
        self.together = max(self.together, len(images))
        return torch.empty_like(images).normal_(0.5, 1, generator=generator)


@pytest.fixture(scope="module")
def photos():
    levels = torch.linspace(90, 120, COUNT).to(torch.uint8)
    images = levels[:, None, None, None].expand(-1, 3, SIDE, SIDE).contiguous()
    return LabelledImages(images, torch.zeros(COUNT, dtype=torch.int64))


def test_each_image_has_the_same_noise_in_any_batch_and_none_is_kept(photos):
    search = start(Bright(), photos, NOISES["gaussian"], generator(0, "noise"), 1e-3)
    assert isinstance(search.directions, RedrawnDirections)
    pixels, everything = photos.images.float() / 255, torch.arange(COUNT)
    whole = search.directions.of(everything, pixels)
    some = torch.tensor([7, 2, 3])
    assert torch.equal(search.directions.of(some, pixels[some]), whole[some])
    assert abs(float(whole.mean())) < 0.01 and abs(float(whole.std()) - 1) < 0.01
    assert len({tuple(direction.flatten()[:3].tolist()) for direction in whole}) == COUNT
    kept = [v for v in vars(search).values() if isinstance(v, torch.Tensor)]
    assert all(tensor.numel() <= COUNT for tensor in kept)


@pytest.mark.system
def test_the_median_is_that_of_the_sizes_and_models_see_few_at_once(photos, monkeypatch):
    monkeypatch.setattr(accuracy, "LARGE_BATCH_SIZE", 4)
    model, spy = Bright(), Spy()
    noise = Noise("shifted", spy)
    row = median_perturbation_size(model, photos, noise, generator(0, "noise"))
    sizes = perturbation_sizes(model, photos, noise, generator(0, "noise"))
    assert row.value == pytest.approx(float(sizes.sort().values[COUNT // 2]), abs=2e-3)
    assert 0 < row.value < 100 and spy.together == 1 and max(model.together) == 4


def test_attacks_see_few_large_images_at_once(photos, monkeypatch):
    monkeypatch.setattr(accuracy, "LARGE_BATCH_SIZE", 4)
    model = Bright()
    attack = attacks.PGDAttack(size=0.2, step_size=0.05, steps=5)
    row = attacks.attack_accuracy(model, photos, attack, generator(0, "attack"))
    # 0.2 moves a mean level of up to 0.2 below one half across it: all of them.
    assert row.value == 0 and row.count == COUNT and max(model.together) == 4


def test_small_images_go_through_in_the_batches_of_before(mnist, photos):
    assert accuracy.batch_size(mnist[1][:10]) == 250
    assert accuracy.batch_size(photos) == accuracy.LARGE_BATCH_SIZE == 64


def test_neighbours_are_corrupted_in_one_call_and_others_as_they_are_numbered(photos):
    calls = []

    def corrupt(images, name, severity, seed, first):
        calls.append((first, len(images)))
        return images + torch.arange(first, first + len(images))[:, None, None, None].byte()

    suite = replace(TEST, corrupt=corrupt, in_memory=False)
    made = CorruptedImages(photos, suite, "fog", 1, 0)
    index = torch.tensor([3, 4, 5, 8, 0, 1])
    expected = photos.images[index] + index[:, None, None, None].byte()
    assert torch.equal(made.batch(index), expected)
    assert calls == [(3, 3), (8, 1), (0, 2)]
    assert torch.equal(next(iter(made.batches([index]))), expected)
