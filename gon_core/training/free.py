"""Free adversarial training: each batch is trained on several times while its noise grows."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gon_core.config import UAT, FreeAT, TrainingConfig
from gon_core.data.splits import Images
from gon_core.training.descent import classify, cross_entropy, update
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState

DELTA = "delta"


@dataclass
class Perturbation:
    """The one perturbation that persists over all batches; see ``loop.MethodState``.

    Attributes:
        method: whose it is.
        delta: of free adversarial training one image for each row of a whole batch; of universal
            one for all images; empty before the first step.
        sums: nothing is counted.
    """

    method: FreeAT | UAT
    delta: Float[Tensor, "..."]
    sums: Tensor

    @property
    def form(self) -> torch.Size:
        """The shape of the perturbation, which gets its place in memory at the first step."""
        return self.delta.shape

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the rest of the training depends on."""
        return {DELTA: self.delta}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Set it to what ``state_dict`` returned; ``ValueError`` if that was another method's."""
        if tensors.keys() != {DELTA}:
            raise ValueError(f"not the state of {self.method.method}: {', '.join(tensors)}")
        self.delta = tensors[DELTA].to(self.delta.device, copy=True)

    def end_epoch(self) -> dict[str, float]:
        """Return no metrics of its own."""
        return {}


def new_perturbation(method: FreeAT | UAT, device: torch.device) -> Perturbation:
    """Return the perturbation before the first step."""
    return Perturbation(method, torch.zeros(0, device=device), torch.zeros(1, device=device))


def make_step(method: FreeAT, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch: ``method.replays`` updates of weights and noise at once.

    Each replay takes one backward pass, whose gradient with respect to the images moves the
    perturbation up the loss by ``step_size`` a pixel, within epsilon, and whose gradient with
    respect to the weights moves them down. Logits and loss are those of the first replay, before
    the batch was trained on. A smaller batch uses the perturbation's first rows.

    References:
        Shafahi et al., "Adversarial training for free!", 2019. Batch normalisation is in training
        mode throughout, as in their code.
    """
    bf16 = training.precision == "bf16"

    def step(state: TrainingState, images, labels):
        kept, group = state.method_state, state.group
        assert isinstance(kept, Perturbation)
        if not len(kept.delta):
            rows = max(len(images), min(training.batch_size, len(data)))
            kept.delta = images.new_zeros(rows, *images.shape[1:])
        own, own_labels = group.own(images), group.own(labels)
        first = None
        for _ in range(method.replays):
            delta = group.own(kept.delta[: len(images)]).detach().requires_grad_()
            logits, auxiliary = classify(state.model, (own + delta).clamp(0, 1), bf16)
            loss = cross_entropy(logits, auxiliary, own_labels)
            first = first or (logits.detach(), loss.detach(), own_labels)
            update(state, loss, len(own), len(images))
            _ascend(state, kept, delta, len(images), method)
        assert first is not None, "there is at least one replay"
        return first

    return step


@torch.no_grad()
def _ascend(
    state: TrainingState, kept: Perturbation, delta: Tensor, count: int, method: FreeAT
) -> None:
    """Move the perturbation by the signs of its gradient; those of other processes as well."""
    gradient = torch.zeros_like(delta) if delta.grad is None else delta.grad
    signs = torch.zeros_like(kept.delta[:count])
    signs[state.group.rows] = gradient.sign()
    moved = kept.delta[:count] + method.step_size * state.group.total(signs)
    kept.delta[:count] = moved.clamp_(-method.epsilon, method.epsilon)
