"""The truth of a sweep: its records, on a local path or any pyarrow filesystem.

    <storage>/<sweep name>/
        sweep.json                            what is asked, by which code, on which data
        trials/<trial id>/trial.json          the full configuration, before training
        trials/<trial id>/checkpoints/epoch-NNNNNN/   weights, momentum, streams, history, manifest
        trials/<trial id>/model.safetensors   the final weights
        trials/<trial id>/result.json         how it ended, once, at the end
    <storage>/starting_models/<hash>/         the vanilla model that trials start from

Every file appears whole or not at all. A checkpoint counts once its manifest, written last, names
the SHA-256 of each of its files. Ray, Optuna and MLflow hold nothing that is not rebuilt from here.
"""

import hashlib
import json
import logging
import os
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pyarrow import fs
from pydantic import BaseModel, ConfigDict

from gon_core.config import TrialConfig
from gon_core.evaluation.accuracy import AccuracyRow
from gon_core.training.checkpoints import MODEL

Status = Literal["converged", "max_epochs", "pruned", "diverged", "failed"]
STARTING_MODELS = "starting_models"  # reserved: no sweep may take this name
MANIFEST = "manifest.json"
HISTORY = "history.json"
KEPT_CHECKPOINTS = 2

log = logging.getLogger(__name__)


class TrialResult(BaseModel):
    """How a trial ended.

    Attributes:
        trial_id: hash of ``config``.
        config: configuration and seed.
        status: only ``converged`` is ever shown as converged.
        reason: why, where the status does not say it (an error with its traceback).
        history: the metrics of every epoch, in order.
        rows: every accuracy measured on the final model; empty unless it was evaluated.
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
    objective: float | None = None
    best_epoch: int | None = None
    seconds: dict[str, float] = {}
    ended: str = ""
    device: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the same trial need not run again: a failed one may."""
        return self.status != "failed"

    @property
    def is_measured(self) -> bool:
        """Whether the final model was evaluated, so that its accuracies can be compared."""
        return self.objective is not None


@dataclass(frozen=True)
class Folder:
    """A folder on a filesystem; small, picklable, opened when first used.

    Attributes:
        uri: a local path, or a URI such as ``s3://bucket/sweeps``.
    """

    uri: str

    def __post_init__(self) -> None:
        if "://" not in self.uri:  # a worker's working directory is another
            object.__setattr__(self, "uri", str(Path(self.uri).expanduser().absolute()))

    @cached_property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.uri:
            return fs.FileSystem.from_uri(self.uri)
        return fs.LocalFileSystem(), self.uri

    def __getstate__(self) -> dict[str, Any]:
        return {"uri": self.uri}

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.uri.rstrip('/')}/{name}")

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's disks."""
        return isinstance(self._opened[0], fs.LocalFileSystem)

    @property
    def path(self) -> str:
        """The absolute path on the filesystem."""
        return self._opened[1]

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file ``name`` in it, is there."""
        filesystem, root = self._opened
        path = f"{root}/{name}" if name else root
        return filesystem.get_file_info(path).type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Return the names in the folder, sorted; none if there is no such folder."""
        filesystem, root = self._opened
        entries = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
        return sorted(entry.base_name for entry in entries)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        filesystem, root = self._opened
        with filesystem.open_input_stream(f"{root}/{name}", compression=None) as stream:
            return stream.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all; object stores do that by themselves."""
        filesystem, root = self._opened
        filesystem.create_dir(root, recursive=True)
        if not self.is_local:
            with filesystem.open_output_stream(f"{root}/{name}", compression=None) as stream:
                stream.write(content)
            return
        temporary = Path(root) / f".{name}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            temporary.write_bytes(content)
            temporary.replace(Path(root) / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> None:
        """Write a value as indented JSON."""
        self.write(name, json.dumps(content, indent=1).encode())

    def read_json(self, name: str) -> Any:
        """Return the value of a JSON file."""
        return json.loads(self.read(name))

    def remove(self, name: str) -> None:
        """Remove a file; no error if there is none."""
        filesystem, root = self._opened
        if self.exists(name):
            filesystem.delete_file(f"{root}/{name}")

    def delete(self) -> None:
        """Remove the folder and all in it; no error if there is none."""
        filesystem, root = self._opened
        if self.exists():
            filesystem.delete_dir(root)


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
        """Write ``trial.json``, before training."""
        self.folder.write_json("trial.json", config.model_dump(mode="json"))

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
        """Return the configurations of all trials that were begun, by trial id."""
        configs = {}
        for trial_id in (self.folder / "trials").names():
            folder = self.trial(trial_id).folder
            if folder.exists("trial.json"):
                configs[trial_id] = TrialConfig.model_validate(folder.read_json("trial.json"))
        return configs

    def results(self) -> list[TrialResult]:
        """Return how the trials that ended did, in the order of their ids."""
        names = (self.folder / "trials").names()
        return [result for name in names if (result := self.trial(name).result())]
