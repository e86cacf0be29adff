"""The records of one sweep."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gon_core.config import TrialConfig
from sweeps.engine.records.result import TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.trial import TrialRecords
from sweeps.engine.records.usage import UsageRecords

DESCRIPTION = "sweep.json"
TRIAL_ID = re.compile(r"[0-9a-f]{12}")
AT_A_TIME, AHEAD = 16, 160  # trials that are read together, and that wait in memory to be used
KINDS = {dict: ("config", "baselines"), list: ("grid", "seeds", "parameters", "known")}

T = TypeVar("T")


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
        begun = dict(self.ask_each(_config_and_turn, self.names()))
        configs = {name: config for name, (config, _) in begun.items() if config is not None}
        return {name: configs[name] for name in sorted(configs, key=lambda name: begun[name][1])}

    def results(self) -> list[TrialResult]:
        """Return how the trials that ended did, in the order of their ids."""
        found = self.ask_each(TrialRecords.result, self.names())
        return [result for _, result in found if result is not None]

    def ask_each(
        self, ask: Callable[[TrialRecords], T], names: Sequence[str]
    ) -> Iterator[tuple[str, T]]:
        """Yield each trial's id and what its records answer, in the order of ``names``.

        Where each file is a request, to an object store, ``AT_A_TIME`` trials are asked together.
        """
        if self.folder.is_local:
            yield from ((name, ask(self.trial(name))) for name in names)
            return
        pool = ThreadPoolExecutor(AT_A_TIME)
        try:
            for first in range(0, len(names), AHEAD):
                some = names[first : first + AHEAD]
                answers = pool.map(lambda name: ask(self.trial(name)), some)
                yield from zip(some, answers, strict=True)
        finally:  # after Ctrl-C too: a store that is silent is asked for minutes
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def usage(self) -> UsageRecords:
        """What its drivers have used."""
        return UsageRecords(self.folder / "usage")

    def names(self) -> list[str]:
        """Return the ids of all trials that have a folder."""
        return [name for name in (self.folder / "trials").names() if TRIAL_ID.fullmatch(name)]


def _config_and_turn(trial: TrialRecords) -> tuple[TrialConfig | None, int]:
    config = trial.config()
    return config, trial.turn() if config is not None else 0
