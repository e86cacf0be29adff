"""Rony et al.'s classifier against its published definition, and dropout from a trial's stream."""

import pytest
import torch
from torch import nn

from gon_core.config import TrainingConfig, Vanilla
from gon_core.models.rony_cnn import RonyCNN
from gon_core.seeding import generator
from gon_core.training import StoppedError, checkpoints, new_state, train

SHAPES = {
    "feature_extractor.conv1": (32, 1, 3, 3), "feature_extractor.conv2": (32, 32, 3, 3),
    "feature_extractor.conv3": (64, 32, 3, 3), "feature_extractor.conv4": (64, 64, 3, 3),
    "classifier.fc1": (200, 1024), "classifier.fc2": (200, 200), "classifier.fc3": (10, 200),
}  # fmt: skip


def test_layers_are_named_as_in_the_published_state_dicts():
    wanted = {f"{name}.weight": shape for name, shape in SHAPES.items()}
    wanted |= {f"{name}.bias": shape[:1] for name, shape in SHAPES.items()}
    model = RonyCNN()
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == wanted
    assert not model.classifier.fc3.weight.any(), "its first answer is the same for all classes"
    assert model.feature_extractor.conv3.weight.std().item() == pytest.approx(
        (2 / (32 * 9)) ** 0.5, rel=0.02
    )


def test_it_is_the_textbooks_network():
    model, images = RonyCNN(generator(3)).eval(), torch.rand(5, 1, 28, 28, generator=generator(0))
    nn.init.normal_(model.classifier.fc3.weight, generator=generator(1))
    w = model.state_dict()
    x = images
    for number in (1, 2, 3, 4):
        name = f"feature_extractor.conv{number}"
        x = nn.functional.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"]).relu()
        x = nn.functional.max_pool2d(x, 2) if number in (2, 4) else x
    x = x.flatten(1)
    for number in (1, 2, 3):
        x = x @ w[f"classifier.fc{number}.weight"].T + w[f"classifier.fc{number}.bias"]
        x = x.relu() if number < 3 else x
    torch.testing.assert_close(model(images), x, rtol=1e-4, atol=1e-4)


@pytest.mark.system
def test_dropout_is_the_seeds_and_resumes_to_the_bit(mnist):
    config, data = TrainingConfig(batch_size=8, learning_rate=0.05, max_epochs=2), mnist[0][:32]

    def new(seed):
        return new_state(RonyCNN(generator(0)), config, seed)

    def trained(state, stop=lambda: False):
        list(train(state, data, Vanilla(), config, stop))
        return checkpoints.dump_model(state.model)

    torch.manual_seed(1)
    untouched = torch.get_rng_state()
    whole = trained(new(0))
    assert torch.equal(torch.get_rng_state(), untouched)
    torch.manual_seed(2)
    assert trained(new(0)) == whole
    state, calls = new(0), []
    with pytest.raises(StoppedError):
        trained(state, lambda: calls.append(0) or len(calls) == 3)
    again = new(5)
    checkpoints.restore(again, checkpoints.dump(state))
    torch.manual_seed(3)
    assert trained(again) == whole
    masks = []
    for seed in (0, 1):
        state = new(seed)
        with state.randomness(1):
            masks.append(nn.functional.dropout(torch.ones(100)))
    assert not torch.equal(*masks)
