"""The records of one sweep."""

from dataclasses import dataclass
from typing import Any

from gon_core.config import TrialConfig
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.trial import TrialRecords
from sweeps.engine.records.usage import UsageRecords
from sweeps.engine.storage import Folder

DESCRIPTION = "sweep.json"


@dataclass(frozen=True)
class SweepRecords:
    """The records of one sweep."""

    folder: Folder

    def write_sweep(self, description: dict[str, Any]) -> None:
        """Write ``sweep.json``, once, at the start."""
        self.folder.write_json(DESCRIPTION, description)

    def read_sweep(self) -> dict[str, Any] | None:
        """Return what ``sweep.json`` says, or None where there is no sweep.

        Raises:
            ValueError: it is not JSON, or not such an object.
            OSError: it is no file that can be read.
        """
        if not self.folder.exists(DESCRIPTION):
            return None
        found = self.folder.read_json(DESCRIPTION)
        if not isinstance(found, dict):
            raise ValueError("sweep.json must be an object")
        if not isinstance(found.get("asked", {}), dict):
            raise ValueError("what was asked must be an object")
        return found

    def trial(self, trial_id: str) -> TrialRecords:
        """Return the records of one trial, whether it has begun or not."""
        return TrialRecords(self.folder / "trials" / trial_id, trial_id)

    def trials(self) -> dict[str, TrialConfig]:
        """Return the configurations of all trials that were begun, by id, in their turns."""
        configs, turns = {}, {}
        for trial_id in self.names():
            trial = self.trial(trial_id)
            if (config := trial.config()) is not None:
                configs[trial_id], turns[trial_id] = config, trial.turn()
        return {name: configs[name] for name in sorted(configs, key=lambda name: turns[name])}

    def results(self) -> list[TrialResult]:
        """Return how the trials that ended did, in the order of their ids."""
        return [result for name in self.names() if (result := self.trial(name).result())]

    @property
    def usage(self) -> UsageRecords:
        """What its drivers have used."""
        return UsageRecords(self.folder / "usage")

    def names(self) -> list[str]:
        """Return the ids of all trials that have a folder."""
        return (self.folder / "trials").names()
