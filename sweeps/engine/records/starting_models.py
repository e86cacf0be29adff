"""The vanilla model that trials start from: trained once, kept by content, shared by sweeps."""

import hashlib
import logging
from typing import Any

from gon_core.config import StartConfig, TrialConfig, Vanilla, content_hash
from gon_core.formats import TRAINING_FORMAT
from sweeps.engine.records import MODEL, STARTING_MODELS, SweepRecords
from sweeps.engine.records.checkpoint import read_whole
from sweeps.engine.records.storage import Folder

DESCRIPTION = "start.json"

log = logging.getLogger(__name__)


class DivergedStartError(RuntimeError):
    """The vanilla training itself had no finite loss: no trial can begin."""


def folder(storage: Folder, start: StartConfig, data_digest: str) -> Folder:
    """Return where the model of this configuration, data and training format is kept."""
    identity = f"{content_hash(start)} {data_digest} {TRAINING_FORMAT}"
    return storage / STARTING_MODELS / hashlib.sha256(identity.encode()).hexdigest()[:12]


def trial_config(start: StartConfig) -> TrialConfig:
    """Return the trial that trains the model; nothing of it is evaluated."""
    return TrialConfig(
        method=Vanilla(), model=start.model, data=start.data, training=start.training, start=None,
        seed=start.seed,
    )  # fmt: skip


def training_records(kept: Folder, sweep: str) -> SweepRecords:
    """Return where a sweep keeps the training of the model, until the model is complete.

    Two sweeps may train the same model at the same time, so that each has a folder of its own.
    """
    return SweepRecords(kept / f"training-{sweep}")


def stored(kept: Folder) -> bytes | None:
    """Return the weights kept there, or None if there are none or they are damaged."""
    if not kept.exists(DESCRIPTION):
        return None
    try:
        return read_whole(kept, MODEL, str(_description(kept).get("sha256")))
    except ValueError:
        log.warning("the starting model in %s is damaged and is trained again", kept.uri)
        return None


def _description(kept: Folder) -> dict[str, Any]:
    """Return the description of the model kept there; empty if it is missing or damaged."""
    try:
        found = kept.read_json(DESCRIPTION)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def seconds_per_image(kept: Folder, start: StartConfig) -> float | None:
    """Return how long training took per image, of the model kept there; None if there is none."""
    history = _description(kept).get("history")
    return history[-1]["seconds"] / start.data.images_of_an_epoch if history else None


def keep(kept: Folder, start: StartConfig, weights: bytes, history: list[dict[str, float]]) -> None:
    """Write a trained model and its history of epochs, for every sweep that starts from it."""
    kept.write(MODEL, weights)
    description = {
        "config": start.model_dump(mode="json"),
        "history": history,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    kept.write_json(DESCRIPTION, description)
