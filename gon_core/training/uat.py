"""Universal adversarial training: one perturbation for all images."""

import torch

from gon_core.config import UAT, TrainingConfig
from gon_core.data.splits import Images
from gon_core.training.descent import classify, cross_entropy, update
from gon_core.training.free import Perturbation
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: UAT, training: TrainingConfig, data: Images) -> Step:
    """Return the simultaneous step: one backward pass moves the weights and the perturbation.

    The perturbation, one image that is 0 at first, is added to every image of the batch, which is
    then clipped to [0, 1]. The sign of its gradient moves it up the loss by ``step_size``, within
    epsilon; it persists through the whole training.

    Raises:
        ValueError: the method has no ``step_size``.

    References:
        Shafahi et al., "Universal adversarial training", 2020: the form that they train on
        ImageNet, which costs what plain training does.
    """
    bf16, size = training.precision == "bf16", method.step_size
    if size is None:
        raise ValueError("universal adversarial training needs a step_size: there is no default")

    def step(state: TrainingState, images, labels):
        kept, group = state.method_state, state.group
        assert isinstance(kept, Perturbation)
        if not len(kept.delta):
            kept.delta = images.new_zeros(images.shape[1:])
        own, own_labels = group.own(images), group.own(labels)
        delta = kept.delta.detach().requires_grad_()
        logits, auxiliary = classify(state.model, (own + delta).clamp(0, 1), bf16)
        loss = cross_entropy(logits, auxiliary, own_labels)
        update(state, loss, len(own), len(images))
        with torch.no_grad():
            gradient = torch.zeros_like(delta)
            if delta.grad is not None and len(own):  # the mean over no rows is NaN
                gradient = delta.grad * (len(own) / len(images))
            moved = kept.delta + size * group.total(gradient).sign()
            kept.delta.copy_(moved.clamp_(-method.epsilon, method.epsilon))
        return logits.detach(), loss.detach(), own_labels

    return step
