"""Adversarial training in l2 against attacks that decouple direction and norm (DDN)."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gon_core.config import DDN, TrainingConfig
from gon_core.data.splits import Images
from gon_core.training.adversarial import image_gradient, l2_size, unit
from gon_core.training.descent import descend_own
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState

LAST_RATE = 0.01  # of the cosine from 1 with which the direction is followed


def make_step(method: DDN, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch of which every image is perturbed against the classifier.

    References:
        Rony et al., "Decoupling direction and norm for efficient gradient-based l2 adversarial
        attacks and defenses", 2019. They add the attack to a training that began on clean images,
        as it is here if the trial has a ``start``.
    """
    bf16 = training.precision == "bf16"

    def step(state: TrainingState, images, labels):
        state.model.eval()
        own = state.group.own
        perturbed = perturb(state.model, own(images), own(labels), method, bf16)
        state.model.train()
        return descend_own(state, perturbed, labels, bf16)

    return step


def perturb(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    method: DDN,
    bf16: bool = False,
) -> Float[Tensor, "batch channel height width"]:
    """Return the nearest images found that are misclassified, at most ``method.max_norm`` away.

    Each step follows the normalised gradient, then scales the perturbation to a size that shrinks
    by gamma if the classifier was wrong and grows by gamma if it was right. The smallest one that
    fooled it is kept: an image that is wrong as it is, or that never was, comes back unchanged. One
    that was fooled only from farther away than ``max_norm`` comes back at that distance.

    It differs from the reference in three ways: perturbations are not rounded to 256 grey levels;
    the last step's outcome is looked at as well; and where the gradient is exactly 0 the direction
    stays instead of becoming random, so that nothing is drawn.

    Args:
        model: the classifier, in evaluation mode; its weights get no gradient.
        images: values in [0, 1].
        labels: their classes.
        method: number of steps, sizes and gamma.
        bf16: whether the gradients are computed in bfloat16.
    """
    size = images.new_full((len(images), 1, 1, 1), method.init_norm)
    farthest = l2_size(torch.maximum(images, 1 - images))
    delta = best = torch.zeros_like(images)
    best_size = torch.full_like(size, torch.inf)
    for step in range(method.steps):
        logits, gradient = image_gradient(model, images + delta, labels, bf16)
        fooled = misclassified(logits, labels)
        best, best_size = nearer(delta, fooled, best, best_size)
        size = size * torch.where(fooled, 1 - method.gamma, 1 + method.gamma)
        size = torch.minimum(size, farthest)
        rate = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / method.steps)) / 2
        delta = unit(delta + rate * unit(gradient)) * size
        delta = (images + delta).clamp_(0.0, 1.0) - images
    with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        logits = model(images + delta)
    best, best_size = nearer(delta, misclassified(logits, labels), best, best_size)
    within = (method.max_norm / best_size).clamp_(max=1.0)  # 0 where nothing was found
    return (images + best * within).clamp_(0.0, 1.0)


def misclassified(
    logits: Float[Tensor, "batch label"], labels: Int64[Tensor, " batch"]
) -> Bool[Tensor, "batch 1 1 1"]:
    """Return which images the classifier gets wrong."""
    return (logits.argmax(1) != labels).view(-1, 1, 1, 1)


def nearer(
    delta: Float[Tensor, "batch channel height width"],
    fooled: Bool[Tensor, "batch 1 1 1"],
    best: Float[Tensor, "batch channel height width"],
    best_size: Float[Tensor, "batch 1 1 1"],
) -> tuple[Float[Tensor, "batch channel height width"], Float[Tensor, "batch 1 1 1"]]:
    """Return ``best`` and its l2 sizes, with ``delta`` where it fools and is smaller."""
    size = l2_size(delta)
    better = fooled & (size < best_size)
    return torch.where(better, delta, best), torch.where(better, size, best_size)
