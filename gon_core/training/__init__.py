"""Training methods, one file each; ``train`` runs one of them."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from gon_core import seeding
from gon_core.config import (
    ANT,
    DDN,
    GNT,
    PGD,
    SININ,
    UAT,
    AugMix,
    Ford,
    FreeAT,
    GNTMult,
    Method,
    MethodConfig,
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
    dropout,
    ford,
    free,
    gnt,
    gnt_mult,
    patch_gaussian,
    pgd,
    precision,
    sin_in,
    speckle,
    uat,
    vanilla,
)
from gon_core.training.loop import (
    EpochMetrics,
    MakeRunner,
    Step,
    StoppedError,
    prepared,
    train_epochs,
)
from gon_core.training.opponent import STREAMS, check_opponent, new_opponent
from gon_core.training.optimizers import SGD
from gon_core.training.second_source import STREAM, SecondSource
from gon_core.training.state import AUGMENTATION, Augment, MethodState, TrainingState

METHODS: dict[type[Method], Callable[[Any, TrainingConfig, Images], Step]] = {
    Vanilla: vanilla.make_step,
    GNT: gnt.make_step,
    GNTMult: gnt_mult.make_step,
    Speckle: speckle.make_step,
    Ford: ford.make_step,
    PatchGaussian: patch_gaussian.make_step,
    PGD: pgd.make_step,
    FreeAT: free.make_step,
    UAT: uat.make_step,
    DDN: ddn.make_step,
    AugMix: augmix.make_step,
    SININ: sin_in.make_step,
    ANT: ant.make_step,
}

__all__ = ["METHODS", "EpochMetrics", "StoppedError", "TrainingState", "new_state", "train"]


def new_state(
    model: torch.nn.Module,
    config: TrainingConfig,
    seed: int,
    method: MethodConfig | None = None,
    channels: int = 1,
    augment: Augment | None = None,
    own_images: int | None = None,
) -> TrainingState:
    """Return the state before the first epoch.

    Args:
        model: the classifier to train, in place, on the device where it is.
        config: learning rate, momentum and weight decay.
        seed: of the random streams (data order, noise).
        method: what it will be trained with; those that keep something in the state need it.
        channels: of the images; the noise of ANT's opponent has as many.
        augment: what is done to the images of each batch before any noise.
        own_images: how many images make an epoch, where stylised ones follow in the same set.

    Raises:
        ValueError: the method takes some stylised images, and ``own_images`` is not given.
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
    if any(map(dropout.drops, model.modules())):
        streams[dropout.STREAM] = seeding.generator(seed, dropout.STREAM)
    if augment is not None:
        streams[AUGMENTATION] = seeding.generator(seed, AUGMENTATION, device=device)
    own: MethodState | None = None
    second: SecondSource | None = None
    if isinstance(method, ANT) and method.uses_stylized:
        if own_images is None:
            raise ValueError(f"{method.variant} needs to know which images are stylised")
        second = SecondSource(own_images, method.stylized_share)
        streams[STREAM] = seeding.generator(seed, STREAM)
    if isinstance(method, ANT):
        streams |= {name: seeding.generator(seed, name) for name in STREAMS}
        own = new_opponent(method, streams, device, channels)
    elif isinstance(method, FreeAT | UAT):
        own = free.new_perturbation(method, device)
    return TrainingState(model, optimizer, streams, own, augment=augment, second=second)


def train(
    state: TrainingState,
    data: Images,
    method: Method,
    config: TrainingConfig,
    stop: Callable[[], bool] = lambda: False,
    runner: MakeRunner | None = None,
) -> Iterator[EpochMetrics]:
    """Train with ``method``, starting from ``state``; see ``loop.train_epochs``.

    The images of methods with stylised ones are followed by those, see ``new_state``.
    Several processes (``state.group``) compare their states after each epoch. Where the images are
    on a GPU the steps are replayed as CUDA graphs, unless ``runner`` says how to run them.

    Raises:
        StoppedError: between two steps, where ``stop`` returns True.
        ValueError: the method is ANT and ``new_state`` was given another, or the other way round;
            several processes cannot train this model; or the precision is tf32, and the images
            are on a CPU.
        RuntimeError: during the iteration: the processes are no longer in step.
    """
    precision.check(config, data.device)
    check_opponent(state, method)
    kept = state.method_state
    made_for = kept.method if isinstance(kept, free.Perturbation) else None
    if made_for != (method if isinstance(method, FreeAT | UAT) else None):
        raise ValueError(
            f"the training state was not made for {method!r}: give new_state the method"
        )
    if state.second is not None and state.second.first >= len(data):
        raise ValueError(f"{len(data)} images, no stylised ones behind the {state.second.first}")
    step: Step = METHODS[type(method)](method, config, data)
    prepare = ant.make_prepare(method, config, data) if isinstance(method, ANT) else prepared
    return _in_step(state, train_epochs(state, data, config, step, stop, prepare, runner))


def _in_step(state: TrainingState, epochs: Iterator[EpochMetrics]) -> Iterator[EpochMetrics]:
    for metrics in epochs:
        if state.group.size > 1:
            device = next(state.model.parameters()).device
            state.group.check_in_step(checkpoints.dump(state), device)
        yield metrics
