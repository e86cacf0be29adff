"""Training methods, one file each; ``train`` runs one of them."""

from collections.abc import Callable, Iterator

import torch

from gon_core import seeding
from gon_core.config import (
    ANT,
    DDN,
    GNT,
    PGD,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    Method,
    PatchGaussian,
    Speckle,
    TrainingConfig,
    Vanilla,
)
from gon_core.data.splits import Images
from gon_core.training import (
    ant,
    augmix,
    checkpoints,
    ddn,
    ford,
    free,
    gnt,
    gnt_mult,
    patch_gaussian,
    pgd,
    speckle,
    vanilla,
)
from gon_core.training.loop import (
    AUGMENTATION,
    Augment,
    EpochMetrics,
    MethodState,
    Step,
    StoppedError,
    TrainingState,
    prepared,
    train_epochs,
)
from gon_core.training.opponent import STREAMS, check_opponent, new_opponent
from gon_core.training.optimizers import SGD

METHODS = {
    Vanilla: vanilla.make_step,
    GNT: gnt.make_step,
    GNTMult: gnt_mult.make_step,
    Speckle: speckle.make_step,
    Ford: ford.make_step,
    PatchGaussian: patch_gaussian.make_step,
    PGD: pgd.make_step,
    FreeAT: free.make_step,
    DDN: ddn.make_step,
    AugMix: augmix.make_step,
    ANT: ant.make_step,
}

__all__ = ["METHODS", "EpochMetrics", "StoppedError", "TrainingState", "new_state", "train"]


def new_state(
    model: torch.nn.Module,
    config: TrainingConfig,
    seed: int,
    method: Method | None = None,
    channels: int = 1,
    augment: Augment | None = None,
) -> TrainingState:
    """Return the state before the first epoch.

    Args:
        model: the classifier to train, in place, on the device where it is.
        config: learning rate, momentum and weight decay.
        seed: of the random streams (data order, noise).
        method: what it will be trained with; those that keep something in the state need it.
        channels: of the images; the noise of ANT's opponent has as many.
        augment: what is done to the images of each batch before any noise.
    """
    device = next(model.parameters()).device
    optimizer = SGD(
        model.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=True,
    )
    streams = {
        "data order": seeding.generator(seed, "data order"),
        "noise": seeding.generator(seed, "noise", device=device),
    }
    if augment is not None:
        streams[AUGMENTATION] = seeding.generator(seed, AUGMENTATION, device=device)
    own: MethodState | None = None
    if isinstance(method, ANT):
        streams |= {name: seeding.generator(seed, name) for name in STREAMS}
        own = new_opponent(method, streams, device, channels)
    elif isinstance(method, FreeAT):
        own = free.new_perturbation(device)
    return TrainingState(model, optimizer, streams, own, augment=augment)


def train(
    state: TrainingState,
    data: Images,
    method: Method,
    config: TrainingConfig,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[EpochMetrics]:
    """Train with ``method``, starting from ``state``; see ``loop.train_epochs``.

    Several processes (``state.group``) compare their states after each epoch.

    Raises:
        StoppedError: between two steps, where ``stop`` returns True.
        ValueError: the method is ANT and ``new_state`` was given another, or the other way round;
            or several processes cannot train this model.
        RuntimeError: during the iteration: the processes are no longer in step.
    """
    check_opponent(state, method)
    if isinstance(method, FreeAT) != isinstance(state.method_state, free.Perturbation):
        raise ValueError(
            f"the training state was not made for {method!r}: give new_state the method"
        )
    step: Step = METHODS[type(method)](method, config, data)
    prepare = ant.make_prepare(method, config, data) if isinstance(method, ANT) else prepared
    return _in_step(state, train_epochs(state, data, config, step, stop, prepare))


def _in_step(state: TrainingState, epochs: Iterator[EpochMetrics]) -> Iterator[EpochMetrics]:
    for metrics in epochs:
        if state.group.size > 1:
            device = next(state.model.parameters()).device
            state.group.check_in_step(checkpoints.dump(state), device)
        yield metrics
