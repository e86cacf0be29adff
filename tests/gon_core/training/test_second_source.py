"""Stylised images: which rows of a batch they take, in which order, resumed within an epoch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gon_core.config import ANT, SININ, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import METHODS, StoppedError, ant, checkpoints, new_state, train
from gon_core.training.second_source import SecondSource, rows_of_batch
from tests.gon_core.training.conftest import Witness
from tests.gon_core.training.test_every_method import proceed

OF_PAPER = ANT(epsilon=5, stylized_share=15 / 70, pretraining_steps=0)
SHARE = st.floats(0, 0.5)


@given(st.lists(st.integers(0, 12), max_size=8), SHARE, st.integers(1, 9), st.integers(0, 5))
def test_all_come_once_before_any_comes_again(sizes, share, images, seed):
    source = SecondSource(100, share)
    batches = [torch.arange(size) for size in sizes]
    joined = source.joined(batches, 0, 100 + images, seed)
    further = []
    for batch, whole in zip(batches, joined, strict=True):
        assert torch.equal(whole[: len(batch)], batch)
        assert len(whole) - len(batch) == source.further(len(batch))
        assert rows_of_batch(len(whole), share) == len(batch)
        further += whole[len(batch) :].tolist()
    for first in range(0, len(further), images):
        part = further[first : first + images]
        assert len(set(part)) == len(part) and set(part) <= set(range(100, 100 + images))
    taken = sum(source.further(size) for size in sizes[:2])
    rest = source.joined(batches[2:], taken, 100 + images, seed)
    assert [each.tolist() for each in rest] == [each.tolist() for each in joined[2:]]


def test_a_batch_of_seventy_has_35_noisy_20_clean_and_15_stylised_images():
    stream = torch.Generator().manual_seed(0)
    images, labels = torch.rand(85, 1, 28, 28, generator=stream), torch.arange(85) % 10
    config, data = TrainingConfig(), LabelledImages((images * 255).to(torch.uint8), labels)
    state = new_state(Witness(), config, 0, OF_PAPER, own_images=70)
    logits, _, trained_on = METHODS[ANT](OF_PAPER, config, data)(state, images, labels)
    to_generator, to_classifier = state.model.seen
    assert len(to_generator) == len(to_classifier) == len(logits) == 70
    noise = (to_generator - images[:70]).flatten(1).norm(dim=1)
    assert torch.allclose(noise, torch.full((70,), 5.0), atol=1e-3), "it has the whole clean batch"
    assert torch.equal(to_classifier[:20], images[:20])
    assert torch.equal(to_classifier[20:35], images[70:])
    noise = (to_classifier[35:] - images[35:70]).flatten(1).norm(dim=1)
    assert torch.allclose(noise, torch.full((35,), 5.0), atol=1e-3)
    assert torch.equal(trained_on, torch.cat([labels[:20], labels[70:], labels[35:70]]))


class Stops:
    """Says after so many steps that a training has to stop."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.system
@pytest.mark.parametrize("method", [OF_PAPER, SININ()], ids=["ant_1x1_sin", "sin_in"])
def test_it_resumes_to_the_bit_within_an_epoch(method, digits, small_state):
    config = TrainingConfig(batch_size=7, learning_rate=0.05, max_epochs=3)
    data = digits(40)

    def new(seed):
        return small_state(config, seed, method, own_images=30)

    undisturbed = proceed(new(0), data, method, config)
    state, killed = new(0), ([], [])
    for steps in (1, 4, 3, 9, 100):
        try:
            for metrics in train(state, data, method, config, Stops(steps)):
                killed[0].append(metrics.train_loss)
                killed[1].append(checkpoints.dump(state))
        except StoppedError:
            kept = checkpoints.dump(state)
            state = new(99)
            checkpoints.restore(state, kept)
    assert killed[0] == [metrics.train_loss for metrics in undisturbed[0]]
    weights = [files[checkpoints.MODEL] for files in killed[1]]
    assert weights == [files[checkpoints.MODEL] for files in undisturbed[1]]


def test_the_other_images_come_in_the_order_that_they_have_without(digits, small_state):
    config, plain = TrainingConfig(batch_size=10, max_epochs=1), ANT(epsilon=5)
    orders = []
    for method in (plain, OF_PAPER):
        state = small_state(config, 3, method, own_images=40)
        with pytest.raises(StoppedError):
            next(train(state, digits(50 if method == OF_PAPER else 40), method, config, Stops(0)))
        orders.append(state.progress.permutation)
    assert torch.equal(*orders) and len(orders[0]) == 40


def test_accuracy_and_loss_are_of_the_rows_that_were_trained_on():
    """Stylised images alone are of class 0, which a classifier of zero weights answers."""
    images = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8)
    labels = torch.cat([torch.full((40,), 1), torch.zeros(10, dtype=torch.int64)])
    config = TrainingConfig(batch_size=40, max_epochs=1)
    method = ANT(epsilon=1e-3, stylized_share=0.25, pretraining_steps=0)
    state = new_state(Witness(), config, 0, method, own_images=40)
    (metrics,) = train(state, LabelledImages(images, labels), method, config)
    assert metrics.train_accuracy == pytest.approx(25)
    assert metrics.train_loss == pytest.approx(torch.tensor(10.0).log().item(), rel=1e-4)


def test_what_is_missing_is_said(digits, small_state):
    config = TrainingConfig(max_epochs=1)
    with pytest.raises(ValueError, match="ant_1x1_sin needs to know which images are stylised"):
        small_state(config, 0, OF_PAPER)
    with pytest.raises(ValueError, match="no stylised ones behind the 10"):
        next(train(small_state(config, 0, OF_PAPER, 10), digits(10), OF_PAPER, config))
    assert small_state(config, 0, Vanilla(), 10).second is None
    assert ant.split_batch(70, OF_PAPER, replay=True) == [35, 21, 14]
