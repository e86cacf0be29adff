"""The files that MLflow shows beside a run: its artifacts."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from sweeps.engine.records import MODEL, NOISE, SweepRecords, TrialResult
from sweeps.engine.tracking.mlflow import model
from sweeps.engine.tracking.protocol import Artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """Logs files of runs; each has one name, so that logging it twice changes nothing.

    Attributes:
        client: of MLflow.
        records: of the sweep.
        render: makes files to show beside a trial with learned noise; None for none.
        logs_models: whether final models are logged, with their weights.
    """

    client: "MlflowClient"
    records: SweepRecords
    render: Artifacts | None
    logs_models: bool

    def log_trial(self, run_id: str, result: TrialResult) -> None:
        """Log what there is to see of a trial that ended."""
        self.client.log_dict(run_id, result.config.model_dump(mode="json"), "config.json")
        self._log_learned_noise(run_id, result)
        if (facts := model.facts_of(result)) is not None:
            self.client.log_dict(run_id, facts, model.FACTS)
            if self.logs_models:
                weights = self.records.trial(result.trial_id).folder.read(MODEL)
                with tempfile.TemporaryDirectory() as folder:
                    model.write_model(Path(folder), facts, weights)
                    self.client.log_artifacts(run_id, folder, model.FOLDER)
        if result.reason:
            self.client.log_text(run_id, result.reason, "reason.txt")
        if result.notes:
            self.client.log_text(run_id, "\n".join(result.notes), "notes.txt")

    def _log_learned_noise(self, run_id: str, result: TrialResult) -> None:
        folder = self.records.trial(result.trial_id).folder
        if self.render is None or not folder.exists(NOISE):
            return
        try:
            files = self.render(result, folder.read(NOISE))
        except (SafetensorError, KeyError, ValueError) as error:
            log.warning("%s of trial %s is passed over: %s", NOISE, result.trial_id, error)
            return
        self.log(run_id, files, "learned_noise")

    def log(self, run_id: str, files: Mapping[str, bytes], target: str) -> None:
        """Log files, by name, into a folder of a run's artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            if files:
                self.client.log_artifacts(run_id, folder, target)
