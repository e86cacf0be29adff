"""The records of one sweep."""

import re
from dataclasses import dataclass
from typing import Any

from gon_core.config import TrialConfig
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.trial import TrialRecords
from sweeps.engine.records.usage import UsageRecords
from sweeps.engine.storage import Folder

DESCRIPTION = "sweep.json"
TRIAL_ID = re.compile(r"[0-9a-f]{12}")
KINDS = {dict: ("asked", "baselines"), list: ("grid", "seeds", "parameters", "known")}


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
        for kind, keys in KINDS.items():
            for key in keys:
                if not isinstance(found.get(key, kind()), kind):
                    raise ValueError(f"{key} must be {'an object' if kind is dict else 'a list'}")
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
        return [name for name in (self.folder / "trials").names() if TRIAL_ID.fullmatch(name)]
