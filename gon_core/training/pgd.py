"""Adversarial training against projected gradient descent (PGD) in l-infinity."""

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from gon_core.config import PGD, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise.share import EVERY_ROW
from gon_core.training.adversarial import image_gradient
from gon_core.training.descent import descend_own
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: PGD, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch of which every image is perturbed against the classifier.

    References:
        Madry et al., "Towards deep learning models resistant to adversarial attacks", 2017. They
        train from random weights with Adam; here it is the optimiser and the start of all methods.
    """
    bf16 = training.precision == "bf16"
    classes = int(data.labels.max()) + 1 if method.targeted else 0

    def step(state: TrainingState, images, labels):
        state.model.eval()
        noise, rows = state.streams["noise"], state.group.rows
        perturbed = perturb(state.model, images, labels, method, noise, bf16, rows, classes)
        state.model.train()
        return descend_own(state, perturbed, labels, bf16, method.label_smoothing)

    return step


def perturb(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    method: PGD,
    noise: Generator,
    bf16: bool = False,
    rows: slice = EVERY_ROW,
    classes: int = 0,
) -> Float[Tensor, "row channel height width"]:
    """Return images within ``method.epsilon`` of ``images`` at which the cross entropy is higher.

    Each step changes every pixel by ``step_size`` up the loss and clips it to the box that is both
    within epsilon of the image and in [0, 1]. A targeted one goes down the loss of another class.

    Args:
        model: the classifier, in evaluation mode; its weights get no gradient.
        images: values in [0, 1].
        labels: their classes.
        method: epsilon, number and size of the steps, and where they start.
        noise: draws the random start, on the images' device, of every image.
        bf16: whether the gradients are computed in bfloat16.
        rows: which images to perturb.
        classes: how many there are; for ``method.targeted`` alone.
    """
    start = None
    if method.random_start:
        start = torch.empty_like(images).uniform_(-1.0, 1.0, generator=noise)[rows]
        if method.clean_start_share:
            is_noisy = images.new_empty(()).uniform_(0, 1, generator=noise)
            start = start * (is_noisy >= method.clean_start_share)
    direction = 1.0
    if method.targeted:
        labels, direction = other_classes(labels, classes, noise), -1.0
    images, labels = images[rows], labels[rows]
    low = (images - method.epsilon).clamp_(min=0.0)
    high = (images + method.epsilon).clamp_(max=1.0)
    perturbed = images
    if start is not None:
        perturbed = (start * method.epsilon + images).clamp_(low, high)
    for _ in range(method.steps):
        _, gradient = image_gradient(model, perturbed, labels, bf16)
        perturbed = (perturbed + direction * method.step_size * gradient.sign_()).clamp_(low, high)
    return perturbed


def other_classes(
    labels: Int64[Tensor, " batch"], classes: int, stream: Generator
) -> Int64[Tensor, " batch"]:
    """Return for each label another of ``classes``, which are at least two, with equal odds."""
    further = torch.randint(1, classes, labels.shape, generator=stream, device=labels.device)
    return (labels + further) % classes
