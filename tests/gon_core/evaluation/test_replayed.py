"""Evaluation replayed as on a GPU: a tape of each work, with other images and numbers in it."""

import pytest
import torch

from gon_core.config import ANT
from gon_core.data.splits import LabelledImages
from gon_core.evaluation import (
    NOISES,
    DDNAttack,
    PGDAttack,
    accuracy,
    adversarial_noise,
    attack_accuracy,
    attacks,
    count_correct,
    median_perturbation_size,
)
from gon_core.evaluation.attack_steps import Attacker
from gon_core.evaluation.frozen import frozen
from gon_core.noise import sphere
from gon_core.seeding import generator
from gon_core.training.recordings import TRIES, Recordings
from tests.gon_core.test_formats import tiny_model
from tests.gon_core.training.tape import TapeRecorder

ATTACKS = [PGDAttack(0.1, steps=13), DDNAttack(1.0, 0.2, steps=23)]


class EagerRecorder(TapeRecorder):
    """Does works of the forms that graphs have, one operation after the other."""

    def record(self, work):
        self.recorded += 1
        return work


@pytest.fixture
def taught(mnist):
    """A classifier that knows most digits, and some of them."""
    return tiny_model(), mnist[1][:60]


def by(recorder, passed=lambda: None):
    return lambda device, streams: Recordings(recorder, passed)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_steps_of_an_attack_are_the_steps(attack, taught):
    """Of one batch after the other, of which fewer and fewer images are left."""
    model, data = taught
    images, found = data.images.float() / 255, []
    recorders = TapeRecorder(), EagerRecorder()
    for recorder in recorders:
        with frozen(model):
            attacker = Attacker(model, attack, generator(0, "attack"), by(recorder))
            found.append(
                [
                    attacker.perturb(images[part], data.labels[part])
                    for part in (slice(40), slice(20, 58))
                ]
            )
    assert all(map(torch.equal, *found))
    assert recorders[0].recorded == 2  # of 64 rows, and once fewer than 33 are left of 32
    assert recorders[0].tried == recorders[1].tried == 2 * TRIES
    # Without graphs only those that are left go through the model: it rounds otherwise.
    with frozen(model):
        stream = generator(0, "attack")
        plain = Attacker(model, attack, stream).perturb(images[:40], data.labels[:40])
        broken = [
            attacks.broken(model, images[:40], these, data.labels[:40], attack)
            for these in (plain, found[0][0])
        ]
    assert torch.equal(*broken) and 0 < broken[0].sum() < 40
    left = ~broken[0]
    torch.testing.assert_close(found[0][0][left], plain[left], rtol=0, atol=1e-3)


@pytest.mark.system
@pytest.mark.parametrize("size", [0.8, 1.2])
@pytest.mark.parametrize("kind", [PGDAttack, DDNAttack])
def test_attacks_of_any_size_find_the_same_accuracy(kind, size, taught, monkeypatch):
    attack = kind(size / 10 if kind is PGDAttack else size, steps=11)
    model, data = taught
    monkeypatch.setattr(accuracy, "BATCH_SIZE", 20)
    recorder, passes = TapeRecorder(), []
    row = attack_accuracy(model, data, attack, generator(0), by(recorder, lambda: passes.append(1)))
    assert row == attack_accuracy(model, data, attack, generator(0))
    assert 0 < row.extra["correct"] < count_correct(model, data)
    assert recorder.recorded == 1 and len(passes) == recorder.replayed - 1 > 20


def test_an_exact_norm_is_kept_by_replayed_steps(taught):
    model, data = taught
    images, attack = data.images.float() / 255, PGDAttack(0.05, steps=10)
    with frozen(model):
        attacker = Attacker(model, attack, generator(0), by(TapeRecorder()))
        found = attacker.perturb(images, data.labels)
    assert found.min() >= 0 and found.max() <= 1
    assert (found - images).abs().max() == pytest.approx(attack.size, abs=1e-7)


@pytest.mark.system
@pytest.mark.parametrize("name", NOISES)
def test_looks_at_sizes_find_the_same_median(name, taught, monkeypatch):
    monkeypatch.setattr(sphere, "FIXED_CALLS", 1)  # the others do the same
    model, data = taught
    recorder = TapeRecorder()
    found, plain = (
        median_perturbation_size(
            model, data, NOISES[name], generator(0, name), precision=0.1, **keywords
        )
        for keywords in ({"recordings": by(recorder)}, {})
    )
    assert recorder.recorded == 1 and recorder.replayed > 0
    assert found.value == pytest.approx(plain.value, abs=0.1)
    assert found.extra["already_wrong"] == plain.extra["already_wrong"]


@pytest.mark.system
def test_the_steps_of_a_generator_are_the_steps(taught):
    model, data = taught
    method, recorder, passes = ANT(epsilon=3.0, pretraining_learning_rate=5e-3), TapeRecorder(), []
    found, plain = (
        adversarial_noise(
            model, data[:50], method, 0, batch_size=20, block=7, max_blocks=3, **keywords
        )
        for keywords in ({"recordings": by(recorder, lambda: passes.append(1))}, {})
    )
    assert recorder.recorded == 2  # the last batch of an epoch is smaller
    assert len(passes) + 2 == recorder.replayed == 21 - 2 * TRIES
    assert found.losses == plain.losses and len(set(found.losses)) == 3
    weights = [each.generator.state_dict().values() for each in (found, plain)]
    assert all(map(torch.equal, *weights))


def test_batches_are_larger_on_a_gpu_where_no_gradient_is_computed(mnist):
    class There(LabelledImages):
        device = torch.device("cuda")

    def of(side):
        return There(torch.zeros(1, 1, side, side, dtype=torch.uint8), torch.zeros(1).long())

    sizes = [accuracy.pass_size(of(side)) for side in (28, 32, 64, 128, 224, 2000)]
    assert sizes == [1024, 1024, 256, 64, 64, 64]
    assert [accuracy.batch_size(of(side)) for side in (28, 224)] == [250, 64]
    assert accuracy.pass_size(mnist[1][:10]) == 250
