"""The vanilla model that trials start from: trained once, kept by content, shared by sweeps."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gon_core.config import StartConfig, content_hash
from gon_core.formats import TRAINING_FORMAT
from sweeps.engine.records import MODEL, STARTING_MODELS
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.errors import StorageError

if TYPE_CHECKING:
    from gon_core.training.loop import EpochMetrics

DESCRIPTION = "start.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartModel:
    """A starting model that is trained.

    Attributes:
        weights: its own.
        history: the metrics of every epoch, in order.
    """

    weights: bytes
    history: list[dict[str, Any]]


Training = Callable[[], "Iterator[EpochMetrics | StartModel]"]


class DivergedStartError(RuntimeError):
    """The vanilla training itself had no finite loss: no trial can begin."""


def folder(storage: Folder, start: StartConfig, data_digest: str) -> Folder:
    """Return where the model of this configuration, data and training format is kept."""
    identity = f"{content_hash(start)} {data_digest} {TRAINING_FORMAT}"
    return storage / STARTING_MODELS / hashlib.sha256(identity.encode()).hexdigest()[:12]


def checkpoints(kept: Folder, sweep: str) -> Folder:
    """Return where a sweep keeps the checkpoints of the training until the model is whole.

    Two sweeps may train the same model at the same time, so that each has a place of its own.
    """
    return kept / f"checkpoints-{sweep}"


def stored(kept: Folder) -> bytes | None:
    """Return the weights kept there, or None if there are none or they are damaged."""
    if not kept.exists(DESCRIPTION):
        return None
    try:
        weights = kept.read(MODEL)
    except (FileNotFoundError, ValueError):
        weights = b""
    if hashlib.sha256(weights).hexdigest() != _description(kept).get("sha256"):
        log.warning("the starting model in %s is damaged and is trained again", kept.uri)
        return None
    return weights


def _description(kept: Folder) -> dict[str, Any]:
    """Return what is said of the model kept there; nothing if that is missing or damaged."""
    try:
        found = kept.read_json(DESCRIPTION)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def seconds_per_image(kept: Folder, start: StartConfig) -> float | None:
    """Return how long training took per image, of the model kept there; None if there is none."""
    if not (history := _description(kept).get("history")):
        return None
    last = history[-1]
    return last["seconds"] / start.data.images_of_an_epoch


def get(
    kept: Folder,
    start: StartConfig,
    begun: Folder,
    training: Training,
    report: "Callable[[EpochMetrics], None]",
) -> bytes:
    """Return the weights of the starting model; train and keep it if there is none yet.

    Args:
        kept: from ``folder``.
        start: its configuration.
        begun: from ``checkpoints``; removed once the model is there.
        training: yields the metrics of each epoch that it trains, then the model.
        report: called with these metrics.

    Raises:
        DivergedStartError: its training loss was not finite.
    """
    weights = stored(kept)
    if weights is None:
        weights = _train(kept, start, training, report)
    with suppress(OSError, StorageError):  # nothing reads them any more
        begun.delete()
    return weights


def _train(
    kept: Folder,
    start: StartConfig,
    training: Training,
    report: "Callable[[EpochMetrics], None]",
) -> bytes:
    trained = None
    for news in training():
        if isinstance(news, StartModel):
            trained = news
        else:
            report(news)
    assert trained is not None, "a training that ends yields its model"
    if trained.history[-1]["event"] == "diverged":
        raise DivergedStartError("the training loss of the vanilla starting model is not finite")
    kept.write(MODEL, trained.weights)
    description = {
        "config": start.model_dump(mode="json"),
        "history": trained.history,
        "sha256": hashlib.sha256(trained.weights).hexdigest(),
    }
    kept.write_json(DESCRIPTION, description)
    return trained.weights
