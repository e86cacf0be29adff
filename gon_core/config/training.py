"""How a classifier is trained, whatever the method."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gon_core.config.base import Frozen, PositiveFloat, PositiveInt, UnsignedZero

Precision = Literal["fp32", "tf32", "bf16"]
MOST_BATCH = 100_000  # a slip of the finger, which memory could not hold
MOST_DECAYS = 5  # by 10 each: beyond them nothing changes


class TrainingConfig(Frozen):
    """SGD with momentum until convergence (appendix B), or for a fixed number of epochs.

    By default the learning rate decays once, at the first plateau of the training loss, and the
    second plateau ends the training; with other ``decays`` at the first ones, and the next ends it.
    With ``decay_epochs`` it decays after these epochs instead,
    and with ``anneals`` it falls all the time, whatever the loss; only ``max_epochs`` then ends the
    training.

    Attributes:
        batch_size: images per step; the last, smaller batch of an epoch is used too.
        learning_rate: before any decay.
        momentum: of SGD.
        nesterov: whether the momentum is Nesterov's; it must be more than 0 then.
        weight_decay: times each parameter is added to its gradient, normalisation and biases too.
        warm_up_epochs: epochs in which the learning rate rises linearly, step by step, to
            ``learning_rate``. They count towards no plateau.
        decay_factor: the learning rate is multiplied by this at each decay.
        decays: at how many plateaus it decays; 0 to end at the first.
        decay_epochs: epochs after which it decays, ascending; none for the rule of plateaus.
        anneals: whether it also falls linearly, step by step, from the end of the warm-up to 0 at
            the end of the training.
        patience: epochs without improvement that make a plateau.
        min_improvement: the relative drop of the training loss that counts as improvement.
        max_epochs: the limit of epochs; a trial that reaches it has not converged.
        precision: bf16 runs forward and backward in bfloat16, with fp32 weights; tf32, on a GPU,
            rounds the factors of matrix products and convolutions. Evaluations of the latter are in
            fp32.
        batch_norm_parts: of each batch that batch normalisation has statistics of, one for each
            process that trains; with 1 they are of the whole batch, however many processes train.
        compiled: whether the classifier is compiled while it is trained: fused kernels round in
            other places, with bf16 less often.

    References:
        Appendix B: "After convergence, we decayed the learning rate once by a factor of 10 and
        continued the training"; a second decay brought no benefit.
    """

    batch_size: PositiveInt = 300
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1), UnsignedZero] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0), UnsignedZero] = 0.0
    warm_up_epochs: Annotated[int, Field(ge=0)] = 0
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    decays: Annotated[int, Field(ge=0, le=MOST_DECAYS)] = 1
    decay_epochs: tuple[PositiveInt, ...] = ()
    anneals: bool = False
    patience: PositiveInt = 10
    min_improvement: Annotated[float, Field(ge=0, lt=1), UnsignedZero] = 1e-3
    max_epochs: PositiveInt = 600
    precision: Precision = "fp32"
    batch_norm_parts: PositiveInt = 1
    compiled: bool = False

    @property
    def is_scheduled(self) -> bool:
        """Whether the learning rate follows a schedule, and no plateau ends the training."""
        return self.anneals or bool(self.decay_epochs)

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingConfig":
        problems = []
        if self.nesterov and self.momentum == 0:
            problems.append("nesterov needs a momentum of more than 0, got momentum 0")
        if any(later <= earlier for earlier, later in pairwise(self.decay_epochs)):
            problems.append(f"decay_epochs must be ascending, got {self.decay_epochs}")
        if problems:
            raise ValueError("; ".join(problems))
        return self
