"""Trials of other sweeps under the same storage, which need not be trained again."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata

from gon_core.config import TrialConfig
from gon_core.formats import EVALUATION_FORMAT, TRAINING_FORMAT
from sweeps.engine.records.checkpoint import read_whole
from sweeps.engine.records.names import EXAMPLES, STARTING_MODELS
from sweeps.engine.records.result import Status, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.sweep import SweepRecords
from sweeps.engine.records.trial import TrialRecords
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.text import first_line

REUSABLE: tuple[Status, ...] = ("converged", "max_epochs", "diverged", "evaluated")
"""How a trial ended by itself: one that was pruned depends on the trials beside it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OtherSweeps:
    """The trials of the other sweeps, as they were when this object was made.

    Two sweeps that run at the same time may still train the same trial twice.

    Attributes:
        device_type: ``cpu`` or ``cuda``, on which a trial must have been trained to count.
        trials: by trial id, the records that other sweeps have of it.
    """

    device_type: str
    trials: dict[str, list[TrialRecords]] = field(default_factory=dict)

    @classmethod
    def under(
        cls, storage: Folder, own_name: str, data_digest: str, device_type: str
    ) -> "OtherSweeps":
        """List the trials of all sweeps but one.

        Args:
            storage: the folder of the sweeps.
            own_name: the name of the sweep that looks.
            data_digest: SHA-256 of its data set; sweeps on other data are passed over.
            device_type: on which it trains.
        """
        found = cls(device_type)
        for sweep in _sweeps(storage, own_name, data_digest):
            for trial_id in sweep.names():
                found.trials.setdefault(trial_id, []).append(sweep.trial(trial_id))
        return found

    def find(self, trial_id: str) -> tuple[TrialResult, TrialRecords] | None:
        """Return a result that another sweep has of a trial, and where; files are not read yet."""
        for trial in self.trials.get(trial_id, ()):
            try:
                result = trial.result()
            except (StorageError, ValueError):
                continue
            if result is not None and self._is_like_here(result):
                return result, trial
        return None

    def _is_like_here(self, result: TrialResult) -> bool:
        return (
            result.status in REUSABLE
            and result.training_format == TRAINING_FORMAT
            and result.evaluation_format == EVALUATION_FORMAT
            and minor(result.torch) == minor(metadata.version("torch"))
            and result.device_type == self.device_type
        )

    def take(self, config: TrialConfig, target: TrialRecords, ask_index: int) -> TrialResult | None:
        """Copy a trial that another sweep has whole; return its result, or None if none has it.

        Args:
            config: of the trial.
            target: where its records go.
            ask_index: how many trials the search proposed before it, unless that is recorded.
        """
        if (found := self.find(config.trial_id)) is None:
            return None
        result, source = found
        try:
            files = {
                name: read_whole(source.folder, name, digest)
                for name, digest in result.files.items()
            }
        except (StorageError, ValueError) as error:
            log.warning("trial %s is not reused: %s", config.trial_id, first_line(error))
            return None
        if target.config() is None:
            target.write_ask_index(ask_index)
            target.write_config(config)
        _copy_examples(source, target)
        origin = result.reused_from or source.sweep
        return target.write_result(result.model_copy(update={"reused_from": origin}), files)


def _copy_examples(source: TrialRecords, target: TrialRecords) -> None:
    """Copy the images for figures, unless they are there: those of equal trials are equal."""
    theirs, ours = (trial.folder.parent.parent for trial in (source, target))
    if ours.exists(EXAMPLES):
        return
    try:
        content = theirs.read(EXAMPLES)
    except (StorageError, OSError):  # figures without them are fewer
        return
    ours.write(EXAMPLES, content)


def minor(version: str) -> tuple[str, ...]:
    """Return the major and minor part of a version."""
    return tuple(version.split(".")[:2])


def _sweeps(storage: Folder, own_name: str, data_digest: str) -> Iterator[SweepRecords]:
    for name in storage.names():
        if name in (own_name, STARTING_MODELS):
            continue
        try:
            sweep = SweepRecords(storage / name)
            description = sweep.read_sweep()
        except (StorageError, ValueError, OSError):  # not ours to read, or of another version
            continue
        if description is not None and description.data_digest == data_digest:
            yield sweep
