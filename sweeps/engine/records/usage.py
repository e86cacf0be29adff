"""What a sweep may use and has used: time, and GPU time; each driver has a file of its own.

A budget is compared with the sum of these files. Time in which no driver ran does not count.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sweeps.engine.records.names import next_number, numbered
from sweeps.engine.records.storage import Folder
from sweeps.engine.system.text import first_line

Option = Literal["budget_gpu_hours", "budget_hours"]
UNITS: dict[Option, str] = {"budget_gpu_hours": "GPU-hours", "budget_hours": "hours"}
Amount = Annotated[float, Field(ge=0)]
HOUR = 3600.0
MARGIN = 1.1  # of a proposed budget: what is left may take longer than what has ended
ROUNDING = 1 + 1e-9  # a trial that just fits is not refused for the last bit of a sum

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Budget:
    """What a sweep may use in all, by every driver that ever ran it.

    Attributes:
        gpu_hours: of its trials and of their vanilla model; None: no limit.
        hours: of wall time in which a driver ran; None: no limit.
    """

    gpu_hours: float | None = None
    hours: float | None = None

    @property
    def limits(self) -> dict[Option, float]:
        """The limits that were set, by option."""
        limits: dict[Option, float | None] = {
            "budget_gpu_hours": self.gpu_hours, "budget_hours": self.hours,
        }  # fmt: skip
        return {option: limit for option, limit in limits.items() if limit is not None}


@dataclass(frozen=True)
class Spent:
    """Time that was used, in seconds: wall time, and GPU time."""

    seconds: float = 0.0
    gpu_seconds: float = 0.0

    def hours(self, option: Option) -> float:
        """Return what counts against the limit of an option, in its unit."""
        return (self.gpu_seconds if option == "budget_gpu_hours" else self.seconds) / HOUR


def limit_passed(
    budget: Budget, spent: Spent, rest: float, cost: float, gpus: float
) -> Option | None:
    """Return which limit would be passed if one more trial were started; None if it fits.

    Args:
        budget: the limits.
        spent: by ended trials, and by running ones so far.
        rest: seconds that all running trials together are still expected to need.
        cost: seconds that the further trial is expected to need.
        gpus: of each trial.
    """
    would_be = Spent(spent.seconds + cost, spent.gpu_seconds + gpus * (rest + cost))
    for option, limit in budget.limits.items():
        if would_be.hours(option) > limit * ROUNDING:
            return option
    return None


def enough(used: float, needed: float, limit: float) -> float:
    """Return a budget that the rest of a sweep fits into, above ``limit``, in two digits.

    All are in the unit of the limit that was too small: what was used, and what is still needed.
    """
    least = max(used + MARGIN * needed, MARGIN * limit)
    step = 10.0 ** (math.floor(math.log10(least)) - 1)
    return float(f"{math.ceil(least / step * (1 - 1e-9)) * step:.6g}")


class Stop(BaseModel):
    """Why a driver ended before all trials had: its budget.

    Attributes:
        option: the option that set the limit.
        limit: its value, in hours or GPU-hours.
        resume_command: the same command with a larger budget.
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
            which each had its allocation, times ``gpus_per_trial``.
        stopped: why it ended before all trials had; None if it was not for its budget.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    began: str
    seconds: Amount
    gpus_per_trial: Amount
    gpu_seconds: Amount
    stopped: Stop | None = None


def total(usages: Sequence[Usage]) -> Spent:
    """Return what several drivers used together."""
    return Spent(sum(usage.seconds for usage in usages), sum(usage.gpu_seconds for usage in usages))


@dataclass(frozen=True)
class UsageRecords:
    """The folder ``usage`` of a sweep, whether it is there or not."""

    folder: Folder

    def next_name(self) -> str:
        """Return the name of the file of a driver that starts now."""
        return next_number(self.folder)

    def write(self, name: str, usage: Usage) -> None:
        """Write what a driver has used so far, over what was there."""
        self.folder.write_json(name, usage.model_dump(mode="json"))

    def read(self) -> list[Usage]:
        """Return what every driver used, in order; what is damaged is left out with a warning."""
        found, problems = self._read_all()
        for problem in problems:
            log.warning(problem)
        return found

    def spent(self) -> Spent:
        """Return what all drivers used so far."""
        return total(self.read())

    def problems(self) -> list[str]:
        """Return which files are damaged."""
        return self._read_all()[1]

    def stopped(self) -> Stop | None:
        """Return how the last driver was stopped by its budget; None if it was not."""
        names = numbered(self.folder)
        try:
            return self._read(names[-1]).stopped if names else None
        except ValueError:
            return None

    def _read_all(self) -> tuple[list[Usage], list[str]]:
        found, problems = [], []
        for name in numbered(self.folder):
            try:
                found.append(self._read(name))
            except ValueError as error:
                text = f"usage/{name} is damaged, no budget counts it: {first_line(error)}"
                problems.append(text)
        return found, problems

    def _read(self, name: str) -> Usage:
        return Usage.model_validate(self.folder.read_json(name))
