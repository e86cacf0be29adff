"""The classifier's step down the cross entropy of a batch, as most methods take it."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gon_core.training.epoch_progress import Learned
from gon_core.training.state import TrainingState

AUXILIARY = 0.4  # weight of InceptionV3's second classifier, as in torchvision's own training


def descend(
    state: TrainingState,
    images: Float[Tensor, "batch channel height width"],
    labels: Int64[Tensor, " batch"],
    bf16: bool,
) -> Learned:
    """Take one step down the cross entropy of a whole batch; return what was before it."""
    return descend_own(state, state.group.own(images), labels, bf16)


def descend_own(
    state: TrainingState,
    own: Float[Tensor, "own channel height width"],
    labels: Int64[Tensor, " batch"],
    bf16: bool,
    smoothing: float = 0.0,
) -> Learned:
    """Do what ``descend`` does, given the process's own images and the labels of the batch."""
    logits, auxiliary = classify(state.model, own, bf16)
    own_labels = state.group.own(labels)
    loss = cross_entropy(logits, auxiliary, own_labels, smoothing)
    update(state, loss, len(own), len(labels))
    return logits.detach(), loss.detach(), own_labels


def classify(
    model: nn.Module, images: Float[Tensor, "own channel height width"], bf16: bool
) -> tuple[Float[Tensor, "own label"], Float[Tensor, "own label"] | None]:
    """Return the logits, and those of an auxiliary classifier where the model trains one."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        answer = model(images)
    logits, auxiliary = answer if isinstance(answer, tuple) else (answer, None)
    return logits, auxiliary


def cross_entropy(
    logits: Float[Tensor, "own label"],
    auxiliary: Float[Tensor, "own label"] | None,
    labels: Int64[Tensor, " own"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean cross entropy, plus ``AUXILIARY`` times that of an auxiliary classifier.

    The part ``smoothing`` of each label is spread over all classes.
    """
    loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    if auxiliary is None:
        return loss
    further = nn.functional.cross_entropy(auxiliary.float(), labels, label_smoothing=smoothing)
    return loss + AUXILIARY * further


def update(state: TrainingState, loss: Float[Tensor, ""], own: int, whole: int) -> None:
    """Take the classifier's step down ``loss``, a mean over ``own`` of a batch's ``whole`` rows."""
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.group.add_gradients(state.model.parameters(), own, whole)
    state.optimizer.step()
