"""What the drivers of a sweep have used, each in a file of its own: time, and GPU time.

A budget is compared with their sum. Time in which no driver ran is in none of them.
"""

import logging
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sweeps.engine.records import numbered
from sweeps.engine.records.storage import Folder

Option = Literal["budget_gpu_hours", "budget_hours"]
UNITS: dict[Option, str] = {"budget_gpu_hours": "GPU-hours", "budget_hours": "hours"}
Amount = Annotated[float, Field(ge=0)]

log = logging.getLogger(__name__)


class Stop(BaseModel):
    """Why a driver ended before all trials had: its budget.

    Attributes:
        option: the option that set the limit.
        limit: its value, in hours or GPU-hours.
        resume_command: the command that goes on, with a larger budget.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    option: Option
    limit: Amount
    resume_command: str

    @property
    def budget(self) -> str:
        """The budget in words: ``budget of 0.5 GPU-hours``."""
        return f"budget of {self.limit:g} {UNITS[self.option]}"


class Usage(BaseModel):
    """What one driver of a sweep used, from its start to its end or its last sign of life.

    Attributes:
        began: time of day, ISO 8601, UTC.
        seconds: wall time, until its last trial ended.
        gpus_per_trial: a fraction shares a GPU.
        gpu_seconds: of all trials and of the vanilla model, whatever became of them: the time in
            which each had its place, times ``gpus_per_trial``.
        stopped: why it ended before all trials had; None if it was not for its budget.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    began: str
    seconds: Amount
    gpus_per_trial: Amount
    gpu_seconds: Amount
    stopped: Stop | None = None


class UsageRecords:
    """The folder ``usage`` of a sweep.

    Args:
        folder: it, whether it is there or not.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def next_name(self) -> str:
        """Return the name of the file of a driver that starts now."""
        return numbered.next_name(self._folder)

    def write(self, name: str, usage: Usage) -> None:
        """Write what a driver has used so far, over what was there."""
        self._folder.write_json(name, usage.model_dump(mode="json"))

    def read(self) -> list[Usage]:
        """Return what every driver used, in order; what is damaged is left out with a warning."""
        found = []
        for name in numbered.names(self._folder):
            try:
                found.append(self._read(name))
            except ValueError as error:
                log.warning("usage/%s is damaged and not counted: %s", name, _reason(error))
        return found

    def problems(self) -> list[str]:
        """Return which files are damaged."""
        found = []
        for name in numbered.names(self._folder):
            try:
                self._read(name)
            except ValueError as error:
                found.append(f"usage/{name} is damaged, no budget counts it: {_reason(error)}")
        return found

    def stopped(self) -> Stop | None:
        """Return how the last driver was stopped by its budget; None if it was not."""
        names = numbered.names(self._folder)
        try:
            return self._read(names[-1]).stopped if names else None
        except ValueError:
            return None

    def _read(self, name: str) -> Usage:
        return Usage.model_validate(self._folder.read_json(name))


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0]
