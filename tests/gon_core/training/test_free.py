"""Free adversarial training, beside a plain loop of the published algorithm in float64."""

import pytest
import torch
from torch import nn

from gon_core.config import PGD, FreeAT, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import METHODS, new_state, train

METHOD = FreeAT(epsilon=0.1, step_size=0.06, replays=3)
CONFIG = TrainingConfig(batch_size=6, learning_rate=0.1, momentum=0.9, max_epochs=1)


def classifier(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 5)).to(dtype)


def batch(count, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 4, 4, generator=stream), torch.arange(count) % 5


def plainly(batches):
    """Return the weights, the perturbation and the first loss of each batch."""
    model = classifier(torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    delta = torch.zeros(6, 3, 4, 4, dtype=torch.float64)
    losses = []
    for images, labels in batches:
        images = images.double()
        for replay in range(METHOD.replays):
            noise = delta[: len(images)].clone().requires_grad_()
            loss = nn.functional.cross_entropy(model((images + noise).clamp(0, 1)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            delta[: len(images)] += METHOD.step_size * noise.grad.sign()
            delta.clamp_(-METHOD.epsilon, METHOD.epsilon)
            if not replay:
                losses.append(loss.item())
    return [parameter.detach() for parameter in model.parameters()], delta, losses


def test_it_is_the_published_algorithm_over_several_batches_of_different_size():
    batches = [batch(6, 1), batch(6, 2), batch(4, 3), batch(6, 4)]
    state = new_state(classifier(), CONFIG, 0, METHOD, channels=3)
    data = LabelledImages(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), torch.arange(6))
    step = METHODS[FreeAT](METHOD, CONFIG, data)
    losses = [step(state, *each)[1].item() for each in batches]
    weights, delta, expected = plainly(batches)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(state.method_state.delta.double(), delta, atol=1e-6)
    for ours, theirs in zip(state.model.parameters(), weights, strict=True):
        assert torch.allclose(ours.double(), theirs, atol=1e-5)
    assert state.method_state.delta.abs().max() <= METHOD.epsilon + 1e-7
    assert delta[4:].ne(0).any(), "rows that the smaller batch left alone are kept"


def test_one_replay_without_noise_is_vanilla_training():
    images = torch.randint(0, 256, (12, 3, 4, 4), dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(12) % 5)
    still = FreeAT(epsilon=1e-9, step_size=1e-9, replays=1)
    found = []
    for method in (still, Vanilla()):
        state = new_state(classifier(), CONFIG, 0, method, channels=3)
        list(train(state, data, method, CONFIG))
        found.append([parameter.detach().clone() for parameter in state.model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


def test_a_state_of_another_method_is_refused():
    data = LabelledImages(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), torch.arange(6) % 5)
    for made_for, method in ((Vanilla(), METHOD), (METHOD, PGD())):
        state = new_state(classifier(), CONFIG, 0, made_for, channels=3)
        with pytest.raises(ValueError, match="give new_state the method"):
            list(train(state, data, method, CONFIG))


def test_the_defaults_are_the_papers():
    default = FreeAT()
    assert (default.epsilon, default.step_size, default.replays) == (4 / 255, 4 / 255, 4)
