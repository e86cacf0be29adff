"""The classifier's gradient with respect to the images, for adversarial training."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def image_gradient(
    model: nn.Module,
    images: Float[Tensor, "batch channel height width"],
    labels: Tensor,
    bf16: bool,
) -> tuple[Float[Tensor, "batch label"], Float[Tensor, "batch channel height width"]]:
    """Return the logits, and each image's gradient of its own cross entropy.

    Neither the model's weights nor their gradients change: only what leads to the images is
    differentiated, which takes two thirds of the time of all. The losses are summed, so that an
    image's gradient does not depend on its batch.

    Args:
        model: the classifier, in evaluation mode, so that no statistics of a batch enter.
        images: values in [0, 1].
        labels: their classes, of shape [batch].
        bf16: whether forward and backward run in bfloat16.
    """
    images = images.detach().requires_grad_()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        logits = model(images)
    if logits.dtype != torch.float64:
        logits = logits.float()
    loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images)
    return logits.detach(), gradient


def l2_size(delta: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch 1 1 1"]:
    """Return the l2 norm of each image's perturbation."""
    return torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)


def unit(
    delta: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Return each image's direction with l2 norm 1; zero stays zero.

    A well trained classifier's gradients are so small that their squares vanish in float32: the
    largest entry is brought to 1 first.
    """
    smallest = torch.finfo(delta.dtype).tiny
    scaled = delta / delta.abs().amax((1, 2, 3), keepdim=True).clamp_min(smallest)
    return scaled / l2_size(scaled).clamp_min(smallest)
