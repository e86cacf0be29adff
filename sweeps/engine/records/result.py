"""How a trial ended, and its file: JSON that holds its own SHA-256."""

import json
from collections.abc import Sequence
from importlib import metadata
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gon_core.config import TrialConfig
from gon_core.formats import EVALUATION_FORMAT, TRAINING_FORMAT
from gon_core.measurement import CLEAN, TOP1, Measurement, select
from sweeps.engine.records import hashed

Status = Literal["converged", "max_epochs", "pruned", "diverged", "failed", "evaluated"]


class TrialResult(BaseModel):
    """How a trial ended, and what was measured.

    Attributes:
        trial_id: hash of ``config``, which is configuration and seed.
        status: only ``converged`` is ever shown as converged; given weights are ``evaluated``.
        reason: why, where the status does not say it (an error with its traceback).
        history: the metrics of every epoch, in order.
        measurements: all that was measured of the final model; empty unless it was evaluated.
        spread: standard deviation over test images of their share of right answers under
            corruption, in percent; None if it was not measured.
        objective: what the search maximises, in percent; None unless it was evaluated.
        best_epoch: the epoch with the best validation accuracy.
        seconds: wall time by part: ``training``, ``evaluation``.
        ended: time of day, ISO 8601, UTC.
        device: where it was trained, with the number of threads.
        device_type: ``cpu`` or ``cuda``; empty where the trial's process did not say.
        training_format: of the code that trained it, see ``gon_core.formats``.
        evaluation_format: of the code that evaluated it.
        torch: version of torch.
        files: SHA-256 of the files beside the result, by name.
        reused_from: the sweep that trained it; empty if that is the one it is recorded in.
        notes: what went wrong on the way and was repaired, such as a damaged checkpoint.
    """

    # A diverged loss is NaN, which JSON has no number for.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    trial_id: str
    config: TrialConfig
    status: Status
    reason: str = ""
    history: list[dict[str, float]] = []
    measurements: list[Measurement] = []
    spread: float | None = None
    objective: float | None = None
    best_epoch: int | None = None
    seconds: dict[str, float] = {}
    ended: str = ""
    device: str = ""
    device_type: str = ""
    training_format: int = TRAINING_FORMAT
    evaluation_format: int = EVALUATION_FORMAT
    torch: str = Field(default_factory=lambda: metadata.version("torch"))
    files: dict[str, str] = {}
    reused_from: str = ""
    notes: list[str] = []

    def objectives(self, names: Sequence[str]) -> tuple[float, ...] | None:
        """Return the accuracies on validation images that a search maximises, in percent.

        ``names`` are of ``corrupted`` (the mean over corruptions) and ``clean``.
        """
        if self.objective is None:
            return None
        clean = [row.value for row in self.of(TOP1, "validation") if row.setting == CLEAN]
        known = {"corrupted": self.objective} | ({"clean": clean[0]} if clean else {})
        return tuple(known[name] for name in names)

    def of(self, measure: str, split: str | None = None) -> list[Measurement]:
        """Return what was measured by one measure, on all splits or on one."""
        return select(self.measurements, measure, split)

    def may_have(self, name: str) -> bool:
        """Whether a file was kept beside the record, as far as the record says."""
        return name in self.files or not self.files

    @property
    def is_final(self) -> bool:
        """Whether the same trial need not run again: a failed one may."""
        return self.status != "failed"

    @property
    def is_measured(self) -> bool:
        """Whether the final model was evaluated, so that its accuracies can be compared."""
        return self.objective is not None


def dump(result: TrialResult) -> bytes:
    """Return the content of ``result.json``."""
    return hashed.dump(json.loads(result.model_dump_json()))


def load(content: bytes) -> TrialResult:
    """Return what ``dump`` was given.

    Raises:
        ValueError: it is damaged.
    """
    return TrialResult.model_validate(hashed.load(content))
