"""AugMix: mixtures of augmentation chains, and predictions that agree on them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gon_core.config import AugMix, TrainingConfig
from gon_core.data.splits import Images
from gon_core.noise.augmentation_chains import mix
from gon_core.training.descent import classify, cross_entropy, update
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState

SMALLEST_PROBABILITY = 1e-7  # keeps logarithms finite


def make_step(method: AugMix, training: TrainingConfig, data: Images) -> Step:
    """Return the step on a batch and two mixtures of each of its images.

    The loss is the cross entropy of the clean images plus ``method.consistency`` times the
    Jensen-Shannon divergence between the three predictions; the logits are those of the clean
    images.

    Operations: autocontrast, equalize, posterize; on photos also solarize, rotate, shear (x, y)
    and translate (x, y), which MNIST-C has as corruptions (solarize: its stripes). Brightness,
    contrast, colour and sharpness are left out by the authors as well.

    It differs from the original in that every random number comes from the trial's noise stream.

    References:
        Hendrycks et al., "AugMix: a simple data processing method to improve robustness and
        uncertainty", 2020.
    """
    bf16 = training.precision == "bf16"

    def step(state: TrainingState, images, labels):
        noise, rows, own = state.streams["noise"], state.group.rows, state.group.own
        mixtures = [mix(images, method, noise, rows) for _ in range(2)]
        logits, auxiliary = classify(state.model, torch.cat([own(images), *mixtures]), bf16)
        clean, *mixed = logits.float().chunk(3)
        of_clean = None if auxiliary is None else auxiliary.chunk(3)[0]
        loss = cross_entropy(clean, of_clean, own(labels))
        loss = loss + method.consistency * divergence(clean, *mixed)
        update(state, loss, len(clean), len(images))
        return clean.detach(), loss.detach(), own(labels)

    return step


def divergence(*logits: Float[Tensor, "batch label"]) -> Float[Tensor, ""]:
    """Return the mean over the batch of the Jensen-Shannon divergence, in nats.

    It is the mean Kullback-Leibler divergence of each of the predictions from their mean: 0 if all
    agree, at most the logarithm of their number.
    """
    predictions = [F.softmax(each, dim=1) for each in logits]
    mean = torch.stack(predictions).mean(0).clamp(SMALLEST_PROBABILITY, 1).log()
    terms = [F.kl_div(mean, each, reduction="batchmean") for each in predictions]
    return torch.stack(terms).mean()
