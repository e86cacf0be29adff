"""The vanilla model that trials start from: trained once, kept by content, shared by sweeps."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gon_core.config import HELD_OUT, TRAINING_SET, StartConfig, content_hash
from sweeps.engine.records import MODEL, STARTING_MODELS
from sweeps.engine.storage import Folder

if TYPE_CHECKING:
    from gon_core.training.loop import EpochMetrics

DESCRIPTION = "start.json"
Training = Callable[[], "Iterator[tuple[EpochMetrics, bytes]]"]

log = logging.getLogger(__name__)


class DivergedStartError(RuntimeError):
    """The vanilla training itself had no finite loss: no trial can begin."""


def folder(storage: Folder, start: StartConfig, data_digest: str) -> Folder:
    """Return where the model of this configuration, trained on these images, is kept."""
    name = hashlib.sha256(f"{content_hash(start)} {data_digest}".encode()).hexdigest()[:12]
    return storage / STARTING_MODELS / name


def stored(kept: Folder) -> bytes | None:
    """Return the weights kept there, or None if there are none or they are damaged."""
    if not kept.exists(DESCRIPTION):
        return None
    try:
        weights = kept.read(MODEL)
    except FileNotFoundError:
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
    images = start.data.training_images or TRAINING_SET - HELD_OUT
    return last["seconds"] / images


def get(
    kept: Folder,
    start: StartConfig,
    training: Training,
    report: "Callable[[EpochMetrics], None]",
) -> bytes:
    """Return the weights of the starting model; train and keep it if there is none yet.

    Args:
        kept: from ``folder``.
        start: its configuration.
        training: yields each epoch's metrics and weights.
        report: called with the metrics of each epoch.

    Raises:
        DivergedStartError: its training loss was not finite.
    """
    if (weights := stored(kept)) is not None:
        return weights
    weights, history = b"", []
    for metrics, weights in training():  # noqa: B007  (the last ones count)
        report(metrics)
        history.append(asdict(metrics))
    if history[-1]["event"] == "diverged":
        raise DivergedStartError("the training loss of the vanilla starting model is not finite")
    kept.write(MODEL, weights)
    description = {
        "config": start.model_dump(mode="json"),
        "history": history,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    kept.write_json(DESCRIPTION, description)
    return weights
