"""How a classifier is trained, whatever the method."""

from typing import Annotated, Literal

from pydantic import Field

from gon_core.config.base import Frozen, PositiveFloat, PositiveInt, UnsignedZero

Precision = Literal["fp32", "bf16"]


class TrainingConfig(Frozen):
    """SGD with momentum until convergence (appendix B).

    Attributes:
        batch_size: images per step; the last, smaller batch of an epoch is used too.
        learning_rate: before the one decay.
        momentum: of SGD.
        decay_factor: the learning rate is multiplied by this once, at the first plateau.
        patience: epochs without improvement that make a plateau.
        min_improvement: the relative drop of the training loss that counts as improvement.
        max_epochs: the budget; a trial that reaches it has not converged.
        precision: bf16 runs forward and backward in bfloat16, with fp32 weights.
    """

    batch_size: PositiveInt = 300
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1), UnsignedZero] = 0.9
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: PositiveInt = 10
    min_improvement: Annotated[float, Field(ge=0, lt=1), UnsignedZero] = 1e-3
    max_epochs: PositiveInt = 600
    precision: Precision = "fp32"
