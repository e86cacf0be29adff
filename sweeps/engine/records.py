"""The truth of a sweep: its records, on a local path or any pyarrow filesystem.

    <storage>/<sweep name>/
        sweep.json                            what is asked, by which code, on which data
        examples.safetensors                  some test images, clean and corrupted, for the figures
        trials/<trial id>/trial.json          the full configuration, before training
        trials/<trial id>/checkpoints/epoch-NNNNNN/   weights, momentum, streams, history, manifest
        trials/<trial id>/turn.json           its place in the order in which the search asked
        trials/<trial id>/model.safetensors   the final weights
        trials/<trial id>/noise.safetensors   what an adversarial noise generator learned
        trials/<trial id>/right.safetensors   which test images the final model classifies right
        trials/<trial id>/perturbed.safetensors   some images with noise of the size epsilon*
        trials/<trial id>/result.json         how it ended, once, at the end
    <storage>/starting_models/<hash>/         the vanilla model that trials start from

Every file appears whole or not at all. A checkpoint counts once its manifest, written last, names
the SHA-256 of each of its files. Ray, Optuna and MLflow hold nothing that is not rebuilt from here.

Imports no torch, so that a sweep can be refused or found finished at once.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gon_core.config import TrialConfig
from gon_core.rows import (
    CLEAN,
    SEVERITIES_SPLIT,
    AccuracyRow,
    AttackRow,
    PerturbationSizeRow,
)
from sweeps.engine.storage import Folder

Status = Literal["converged", "max_epochs", "pruned", "diverged", "failed", "evaluated"]
MODEL = "model.safetensors"
NOISE = "noise.safetensors"
RIGHT = "right.safetensors"
PERTURBED = "perturbed.safetensors"
EXAMPLES = "examples.safetensors"
STARTING_MODELS = "starting_models"  # reserved: no sweep may take this name
MANIFEST = "manifest.json"
HISTORY = "history.json"
KEPT_CHECKPOINTS = 2
# The metric of each epoch that pruning compares and the live table shows: each validation image
# under one of the corruptions. The search looks at the final model under all of them.
VALIDATION_METRIC = "validation_corrupted"
VALIDATION_CLEAN = ("validation", CLEAN)

log = logging.getLogger(__name__)


class TrialResult(BaseModel):
    """How a trial ended.

    Attributes:
        trial_id: hash of ``config``.
        config: configuration and seed.
        status: only ``converged`` is ever shown as converged; given weights are ``evaluated``.
        reason: why, where the status does not say it (an error with its traceback).
        history: the metrics of every epoch, in order.
        rows: every accuracy measured on the final model; empty unless it was evaluated.
        attacks: its accuracies under attack; empty unless they were asked for.
        perturbation_sizes: its median perturbation sizes epsilon*; empty unless asked for.
        objective: what the search maximises, in percent; None unless it was evaluated.
        best_epoch: the epoch with the best validation accuracy.
        seconds: wall time by part: ``training``, ``evaluation``.
        ended: time of day, ISO 8601, UTC.
        device: where it was trained, with the number of threads.
    """

    # A diverged loss is NaN, which JSON has no number for.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    trial_id: str
    config: TrialConfig
    status: Status
    reason: str = ""
    history: list[dict[str, float]] = []
    rows: list[AccuracyRow] = []
    attacks: list[AttackRow] = []
    perturbation_sizes: list[PerturbationSizeRow] = []
    objective: float | None = None
    best_epoch: int | None = None
    seconds: dict[str, float] = {}
    ended: str = ""
    device: str = ""

    def objectives(self, names: Sequence[str]) -> tuple[float, ...] | None:
        """Return the accuracies on validation images that a search maximises, in percent.

        Args:
            names: of each, ``corrupted`` (the mean over corruptions) or ``clean``.
        """
        if self.objective is None:
            return None
        clean = [row.top1 for row in self.rows if (row.split, row.corruption) == VALIDATION_CLEAN]
        known = {"corrupted": self.objective} | ({"clean": clean[0]} if clean else {})
        return tuple(known[name] for name in names)

    @property
    def severity_rows(self) -> list[AccuracyRow]:
        """The accuracies at the five severities of our extension of MNIST-C, if measured."""
        return [row for row in self.rows if row.split == SEVERITIES_SPLIT]

    @property
    def is_final(self) -> bool:
        """Whether the same trial need not run again: a failed one may."""
        return self.status != "failed"

    @property
    def is_measured(self) -> bool:
        """Whether the final model was evaluated, so that its accuracies can be compared."""
        return self.objective is not None


@dataclass(frozen=True)
class Checkpoint:
    """A whole, verified checkpoint.

    Attributes:
        epoch: the epoch after which it was taken.
        files: content by name, as ``gon_core.training.checkpoints`` made it.
        history: the metrics of all epochs so far.
    """

    epoch: int
    files: dict[str, bytes]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class TrialRecords:
    """The records of one trial."""

    folder: Folder
    trial_id: str

    def write_config(self, config: TrialConfig) -> None:
        """Write ``trial.json``, before training; it never changes."""
        if not self.folder.exists("trial.json"):
            self.folder.write_json("trial.json", config.model_dump(mode="json"))

    def write_turn(self, turn: int) -> None:
        """Write ``turn.json``: the search asked for the trial as the ``turn``-th, from 0.

        A search that is rebuilt from the records must see its points in the order it saw them in.
        """
        self.folder.write_json("turn.json", {"turn": turn})

    def turn(self) -> int:
        """Return the trial's turn; 0 if it has none."""
        return self.folder.read_json("turn.json")["turn"] if self.folder.exists("turn.json") else 0

    def write_final(self, files: dict[str, bytes]) -> None:
        """Write further files of an ended trial, such as what its noise generator learned."""
        for name, content in files.items():
            self.folder.write(name, content)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, its manifest last, then drop all but the last two."""
        checkpoints = self.folder / "checkpoints"
        target = checkpoints / f"epoch-{checkpoint.epoch:06d}"
        files = checkpoint.files | {HISTORY: json.dumps(checkpoint.history).encode()}
        for name, content in files.items():
            target.write(name, content)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        target.write_json(MANIFEST, {"trial_id": self.trial_id, "sha256": digests})
        for name in checkpoints.names()[:-KEPT_CHECKPOINTS]:
            (checkpoints / name).delete()

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint whose hashes are right; warn of every other one."""
        checkpoints = self.folder / "checkpoints"
        for name in reversed(checkpoints.names()):
            try:
                return self._read_checkpoint(checkpoints / name, int(name.removeprefix("epoch-")))
            except (ValueError, KeyError, OSError) as error:
                log.warning("checkpoint %s of trial %s passed over: %s", name, self.trial_id, error)
        return None

    def _read_checkpoint(self, folder: Folder, epoch: int) -> Checkpoint:
        manifest = folder.read_json(MANIFEST)
        if manifest["trial_id"] != self.trial_id:
            raise ValueError(f"it belongs to trial {manifest['trial_id']}")
        files = {}
        for name, expected in manifest["sha256"].items():
            files[name] = folder.read(name)
            if hashlib.sha256(files[name]).hexdigest() != expected:
                raise ValueError(f"{name} is damaged (its SHA-256 is not the manifest's)")
        return Checkpoint(epoch, files, json.loads(files.pop(HISTORY)))

    def write_result(self, result: TrialResult, weights: bytes | None = None) -> None:
        """Write how the trial ended and its final weights; its checkpoints are needed no more."""
        if weights is not None:
            self.folder.write(MODEL, weights)
        self.folder.write("result.json", result.model_dump_json(indent=1).encode())
        if result.is_final:
            (self.folder / "checkpoints").delete()

    def forget_result(self) -> None:
        """Remove the result of a failed trial that is to run again."""
        self.folder.remove("result.json")

    def result(self) -> TrialResult | None:
        """Return how the trial ended, or None while it has not."""
        if not self.folder.exists("result.json"):
            return None
        return TrialResult.model_validate_json(self.folder.read("result.json"))


@dataclass(frozen=True)
class SweepRecords:
    """The records of one sweep."""

    folder: Folder

    def write_sweep(self, description: dict[str, Any]) -> None:
        """Write ``sweep.json``, once, at the start."""
        self.folder.write_json("sweep.json", description)

    def read_sweep(self) -> dict[str, Any] | None:
        """Return what ``sweep.json`` says, or None where there is no sweep."""
        return self.folder.read_json("sweep.json") if self.folder.exists("sweep.json") else None

    def trial(self, trial_id: str) -> TrialRecords:
        """Return the records of one trial, whether it has begun or not."""
        return TrialRecords(self.folder / "trials" / trial_id, trial_id)

    def trials(self) -> dict[str, TrialConfig]:
        """Return the configurations of all trials that were begun, by id, in their turns."""
        configs, turns = {}, {}
        for trial_id in (self.folder / "trials").names():
            trial = self.trial(trial_id)
            if trial.folder.exists("trial.json"):
                configs[trial_id] = TrialConfig.model_validate(trial.folder.read_json("trial.json"))
                turns[trial_id] = trial.turn()
        return {name: configs[name] for name in sorted(configs, key=lambda name: turns[name])}

    def results(self) -> list[TrialResult]:
        """Return how the trials that ended did, in the order of their ids."""
        names = (self.folder / "trials").names()
        return [result for name in names if (result := self.trial(name).result())]
