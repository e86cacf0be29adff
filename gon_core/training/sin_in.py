"""Training on images and stylised versions of them, one as often as the other (SIN+IN)."""

from gon_core.config import SININ, TrainingConfig
from gon_core.data.splits import Images
from gon_core.training.descent import descend
from gon_core.training.loop import Step
from gon_core.training.state import TrainingState


def make_step(method: SININ, training: TrainingConfig, data: Images) -> Step:
    """Return the optimiser step on a batch of both: an epoch has all images of ``data``.

    References:
        Geirhos et al., "ImageNet-trained CNNs are biased towards texture", 2019: shape without
        texture. They train on the union from ImageNet's weights.
    """

    def step(state: TrainingState, images, labels):
        return descend(state, images, labels, bf16=training.precision == "bf16")

    return step
