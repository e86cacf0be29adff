"""Universal adversarial training, beside a plain loop of the algorithm in float64."""

import pytest
import torch
from torch import nn

from gon_core.config import UAT, FreeAT, TrainingConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import METHODS, new_state, train
from tests.gon_core.training.test_free import CONFIG, batch, classifier

METHOD = UAT(epsilon=0.1, step_size=0.06)


def plainly(batches):
    """Return the weights, the perturbation and the loss of each batch."""
    model = classifier(torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    delta, losses = torch.zeros(3, 4, 4, dtype=torch.float64), []
    for images, labels in batches:
        images, noise = images.double(), delta.clone().requires_grad_()
        loss = nn.functional.cross_entropy(model((images + noise).clamp(0, 1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        delta += METHOD.step_size * noise.grad.sign()
        delta.clamp_(-METHOD.epsilon, METHOD.epsilon)
        losses.append(loss.item())
    return [parameter.detach() for parameter in model.parameters()], delta, losses


def test_it_is_the_algorithm_over_several_batches_of_different_size():
    batches = [batch(6, 1), batch(6, 2), batch(4, 3), batch(6, 4)]
    state = new_state(classifier(), CONFIG, 0, METHOD, channels=3)
    data = LabelledImages(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), torch.arange(6))
    step = METHODS[UAT](METHOD, CONFIG, data)
    losses = [step(state, *each)[1].item() for each in batches]
    weights, delta, expected = plainly(batches)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert state.method_state.delta.shape == (3, 4, 4), "one for all images"
    assert torch.allclose(state.method_state.delta.double(), delta, atol=1e-6)
    for ours, theirs in zip(state.model.parameters(), weights, strict=True):
        assert torch.allclose(ours.double(), theirs, atol=1e-5)
    assert delta.abs().max() == METHOD.epsilon, "it was clipped"


def test_it_has_no_default_step_and_no_state_of_another():
    data = LabelledImages(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), torch.arange(6) % 5)
    assert UAT().epsilon == 10 / 255
    config = TrainingConfig(max_epochs=1)
    with pytest.raises(ValueError, match="needs a step_size: there is no default"):
        next(train(new_state(classifier(), config, 0, UAT()), data, UAT(), config))
    for made_for in (Vanilla(), FreeAT(), UAT(step_size=0.01)):
        state = new_state(classifier(), config, 0, made_for)
        with pytest.raises(ValueError, match="give new_state the method"):
            next(train(state, data, METHOD, config))
