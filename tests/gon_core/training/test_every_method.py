"""What every training method keeps to: it learns, resumes to the bit, has a name of its own."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from gon_core.config import (
    ANT,
    DDN,
    GNT,
    PGD,
    SININ,
    UAT,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    Method,
    PatchGaussian,
    Speckle,
    TrainingConfig,
    Vanilla,
    content_hash,
)
from gon_core.seeding import generator
from gon_core.training import METHODS, checkpoints, new_state, train
from tests.small_model import SmallCNN

# Cheap where the cost is a choice.
EVERY = (
    Vanilla(),
    GNT(sigma=0.3),
    GNTMult(),
    Speckle(),
    Ford(),
    PatchGaussian(),
    PGD(epsilon=0.1, step_size=0.05, steps=2),
    PGD(epsilon=0.1, step_size=0.05, steps=2, targeted=True, clean_start_share=0.5),
    FreeAT(epsilon=0.1, step_size=0.05, replays=2),
    UAT(epsilon=0.1, step_size=0.02),
    DDN(steps=2, init_norm=1.5, gamma=0.3),
    AugMix(),
    SININ(),
    ANT(epsilon=5, pretraining_steps=1, reset_interval=1),
    ANT(epsilon=5, pretraining_steps=1, reset_interval=1, stylized_share=15 / 70),
)
EVERY_METHOD = pytest.mark.parametrize("method", EVERY, ids=lambda method: method.variant)
# Random noise, an attack, chains of operations, a generator.
KINDS = ("gnt", "pgd", "augmix", "ant_1x1")
CONFIG = TrainingConfig(batch_size=25, learning_rate=0.05, max_epochs=3)


def one_of_each_kind(others):
    """Return every method as cases, with a mark for those beside one of each kind."""
    cases = [
        pytest.param(each, marks=() if each.variant in KINDS else others, id=each.variant)
        for each in EVERY
    ]
    return pytest.mark.parametrize("method", cases)


def own(method, count):
    """Return ``own_images``: the last fifth of the images stands for stylised ones."""
    return count * 4 // 5 if getattr(method, "stylized_share", 0) else None


def proceed(state, data, method, config=CONFIG, **keywords):
    """Train to the end; return the metrics but for the clock, and a checkpoint after each epoch."""
    history, dumps = [], []
    for metrics in train(state, data, method, config, **keywords):
        history.append(replace(metrics, seconds=0.0, data_seconds=0.0))
        dumps.append(checkpoints.dump(state))
    return history, dumps


def test_every_method_is_tried():
    union, _ = get_args(Method)
    assert [*dict.fromkeys(type(method) for method in EVERY)] == [*METHODS]
    assert set(METHODS) == set(get_args(union))


@one_of_each_kind(others=pytest.mark.system)
def test_it_goes_on_to_the_same_bits_after_every_epoch(method, digits, small_state):
    data = digits(60)  # two full batches and a smaller one
    history, dumps = proceed(small_state(CONFIG, 0, method, own(method, 60)), data, method)
    assert len(history) == 3 and history[0].train_loss != history[1].train_loss
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        untouched = torch.get_rng_state()
        state = small_state(CONFIG, 99, method, own(method, 60))
        next(train(state, data, method, CONFIG))  # leaves other momentum and streams behind
        checkpoints.restore(state, dumps[epoch - 1])
        assert proceed(state, data, method) == (history[epoch:], dumps[epoch:])
        assert torch.equal(torch.get_rng_state(), untouched)


@pytest.mark.system
@one_of_each_kind(others=pytest.mark.slow)
def test_equal_seeds_give_equal_bits_and_others_do_not(method, digits, small_state):
    data = digits(50)
    first, again, other = (
        proceed(small_state(CONFIG, seed, method, own(method, 50)), data, method)
        for seed in (0, 0, 1)
    )
    assert first == again and first[0] != other[0]


@pytest.mark.system
@one_of_each_kind(others=pytest.mark.slow)
def test_it_learns_digits(method, digits, untaught):
    state = new_state(untaught, CONFIG, 0, method, own_images=own(method, 500))
    first, _, last = train(state, digits(500), method, CONFIG)
    assert last.train_loss < 0.9 * first.train_loss and last.event == "max_epochs"
    assert last.train_accuracy > 35 and state.model.training


@pytest.mark.system
@EVERY_METHOD
def test_it_trains_in_bf16_with_fp32_weights(method, digits):
    losses = []
    for precision in ("fp32", "bf16"):
        config = TrainingConfig(batch_size=10, max_epochs=1, precision=precision)
        model = SmallCNN(generator(0))
        state = new_state(model, config, 0, method, own_images=own(method, 10))
        (metrics,) = train(state, digits(10), method, config)
        losses.append(metrics.train_loss)
        assert all(parameter.dtype == torch.float32 for parameter in state.model.parameters())
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)


@EVERY_METHOD
def test_a_batch_of_one_trains(method, digits, small_state):
    config = TrainingConfig(batch_size=2, max_epochs=1)
    state = small_state(config, 0, method, own(method, 4))
    before = state.model[1].weight.detach().clone()
    count = 4 if own(method, 4) else 3
    (metrics,) = train(state, digits(count), method, config)  # the second batch is of one
    assert metrics.event == "max_epochs" and not torch.equal(before, state.model[1].weight)


def test_every_method_has_a_name_of_its_own():
    assert len({method.variant for method in EVERY}) == len(EVERY)
    assert len({content_hash(method) for method in EVERY}) == len(EVERY)
