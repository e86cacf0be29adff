"""Train the vanilla model that all trials start from, with checkpoints as a trial has them."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from gon_core import seeding
from gon_core.config import StartConfig, Vanilla
from gon_core.data.splits import LabelledImages
from gon_core.training import StoppedError, TrainingState, checkpoints, new_state, train
from gon_core.training.loop import EpochMetrics
from sweeps.engine.records import Checkpoint
from sweeps.engine.records import checkpoint as records
from sweeps.engine.records.starting_models import StartModel
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError

log = logging.getLogger(__name__)


def train_start(
    start: StartConfig,
    training: LabelledImages,
    begun: Folder,
    device: str = "cpu",
    checkpoint_every: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[EpochMetrics | StartModel]:
    """Train the vanilla model, or carry it on from its last checkpoint.

    Args:
        start: what to train.
        training: images, on ``device``.
        begun: where its checkpoints are.
        device: ``cpu`` or ``cuda``.
        checkpoint_every: epochs between two checkpoints.
        stop: asked after each step whether to end for now.

    Yields:
        The metrics of each epoch that is trained here, and at the end the model.

    Raises:
        StoppedError: as ``stop`` said; a checkpoint has all that was done.
    """
    state, history = _begin(start, begun, device)
    try:
        for metrics in train(state, training, Vanilla(), start.training, stop):
            history.append(asdict(metrics))
            due = metrics.is_last or metrics.epoch % checkpoint_every == 0
            if due and metrics.event != "diverged":
                _keep(state, history, start, begun)
            yield metrics
    except StoppedError:
        _keep(state, history, start, begun)
        raise
    yield StartModel(checkpoints.dump_model(state.model), history)


def _begin(
    start: StartConfig, begun: Folder, device: str
) -> tuple[TrainingState, list[dict[str, Any]]]:
    def fresh() -> TrainingState:
        weights = seeding.generator(start.seed, "initial weights")
        model = start.data.benchmark.make_model(start.model, weights)
        return new_state(model.to(device), start.training, start.seed, Vanilla())

    restored = []

    def take(checkpoint: Checkpoint) -> None:
        state = fresh()  # one that cannot be used may be restored in part
        checkpoints.restore(state, checkpoint.files)
        restored.append(state)

    found, passed_over = records.find(begun, start.model_dump(mode="json"), take)
    for reason in passed_over:
        log.warning("vanilla model: %s", reason)
    if found is None:
        return fresh(), []
    return restored[-1], found.history


def _keep(
    state: TrainingState, history: list[dict[str, Any]], start: StartConfig, begun: Folder
) -> None:
    progress = state.progress
    steps = progress.steps if progress is not None else 0
    epoch, files = state.convergence.epoch, checkpoints.dump(state)
    try:
        checkpoint = Checkpoint(epoch, files, list(history), steps)
        records.write(begun, checkpoint, start.model_dump(mode="json"))
    except (OSError, StorageError) as error:  # it can do without; an older one may be there
        log.warning("vanilla model: no checkpoint could be taken: %s", error)
