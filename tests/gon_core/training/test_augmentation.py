"""A training whose images are augmented: before any noise, and to the same bits when stopped."""

from functools import partial

import pytest
import torch
from torch import nn

from gon_core.blank import blank
from gon_core.config import ANT, GNT, TrainingConfig, Vanilla
from gon_core.data.augmentation import flip_and_crop
from gon_core.models.madry_cnn import initialise
from gon_core.training import StoppedError, checkpoints, new_state, train

CONFIG = TrainingConfig(batch_size=20, learning_rate=0.05, max_epochs=2, anneals=True)
METHODS = [Vanilla(), GNT(sigma=0.2), ANT(epsilon=3, pretraining_steps=2)]


def fresh(method, augment=flip_and_crop):
    model = nn.Sequential(nn.Flatten(), blank(nn.Linear, 784, 10))
    initialise(model, torch.Generator().manual_seed(0))
    return new_state(model, CONFIG, 0, method, augment=augment)


def stop_at_the_second(asked):
    asked.append(1)
    return len(asked) == 2


@pytest.mark.system
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.method)
def test_one_that_is_stopped_after_every_step_ends_on_the_same_bits(method, digits):
    data, whole = digits(50), fresh(method)
    metrics = [m.train_loss for m in train(whole, data, method, CONFIG)]
    kept, losses = checkpoints.dump(fresh(method)), []
    for _ in range(40):
        state, asked = fresh(method), []
        checkpoints.restore(state, kept)
        try:
            epochs = train(state, data, method, CONFIG, partial(stop_at_the_second, asked))
            losses += [m.train_loss for m in epochs]
            break
        except StoppedError:
            kept = checkpoints.dump(state)
    assert losses[-1] == metrics[-1]
    ended = checkpoints.dump(state)
    for name, content in checkpoints.dump(whole).items():
        assert name == "state.json" or ended[name] == content, name


def test_images_are_augmented_in_0_to_1_and_anew_in_every_epoch(digits):
    data = digits(20)
    seen = []

    def augment(images, stream):
        seen.append(images.clone())
        return torch.rand((), generator=stream) * torch.ones_like(images)

    state, levels = fresh(Vanilla(), augment), []
    state.model.register_forward_pre_hook(lambda _, given: levels.append(given[0].clone()))
    list(train(state, data, Vanilla(), CONFIG))
    assert len(seen) == 2 and all(((x >= 0) & (x <= 1)).all() for x in seen)
    first, second = (level.unique() for level in levels)
    assert len(first) == len(second) == 1 and first != second


def test_without_an_augmentation_the_images_are_as_they_are(digits):
    state = fresh(Vanilla(), None)
    assert "augmentation" not in state.streams
    images = torch.rand(3, 1, 28, 28)
    assert state.augmented(images) is images
