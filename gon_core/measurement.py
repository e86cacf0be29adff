"""What an evaluation reports: one kind of row for every measure. Imports no torch."""

import math
import statistics
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, field_validator

from gon_core.intervals import Interval, wilson_interval

CLEAN = "clean"  # the setting of images without corruption
TOP1 = "top1"
SEVERITIES_SPLIT = "test_severities"
"""The split of test images at five severities, an extension of MNIST-C; in no published mean."""

Extra = bool | int | float | str
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


class Measurement(BaseModel):
    """One number that was measured of a model.

    Attributes:
        measure: its name in ``gon_core.measures``, which defines the unit of ``value``.
        split: ``validation``, ``test`` or ``test_severities``.
        setting: under which corruption, attack or noise; ``clean`` for images as they are.
        value: the number itself.
        count: images that it was measured on.
        severity: of a corruption: 0 for clean images, else 1..5 (MNIST-C has the one severity 1).
        extra: further columns by name. Of a share of images, ``correct`` is their number. Otherwise
            ``low`` and ``high`` are the ends of the 95 % interval of ``value``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    measure: str
    split: str
    setting: str
    value: float
    count: int
    severity: int | None = None
    extra: dict[str, Extra] = {}

    @field_validator("extra")
    @classmethod
    def _read_what_json_has_no_number_for(cls, extra: dict[str, Extra]) -> dict[str, Extra]:
        return {
            name: _NOT_FINITE.get(value, value) if isinstance(value, str) else value
            for name, value in extra.items()
        }

    def number(self, name: str) -> float | None:
        """Return a further column that is a number; None if the row has none of that name."""
        found = self.extra.get(name)
        return None if found is None or isinstance(found, str) else float(found)

    @property
    def interval(self) -> Interval:
        """The value with its 95 % interval; the ends are NaN if there is none."""
        if (correct := self.number("correct")) is not None:
            return wilson_interval(int(correct), self.count)
        low, high = self.number("low"), self.number("high")
        return Interval(
            self.value, math.nan if low is None else low, math.nan if high is None else high
        )


class Finding(BaseModel):
    """What one step of an evaluation found.

    Attributes:
        measurements: of any measure.
        tensors: safetensors that later steps, or the trial's files, are made of.
        converged: whether a noise generator that was trained had converged.
        seconds: that it took.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        ser_json_inf_nan="strings",
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    measurements: list[Measurement] = []
    tensors: bytes = b""
    converged: bool = True
    seconds: float = 0.0


def accuracy_row(
    split: str,
    corruption: str,
    severity: int,
    correct: int,
    count: int,
    correct_top5: int | None = None,
) -> Measurement:
    """Return a top-1 accuracy in percent.

    Args:
        split, corruption, severity, count: as of ``Measurement``.
        correct: images classified right.
        correct_top5: images whose label is among the five first answers; None if not counted. The
            row then has their percentage as ``top5``.
    """
    extra: dict[str, Extra] = {"correct": correct}
    if correct_top5 is not None:
        extra["top5"] = 100 * correct_top5 / count
    return Measurement(
        measure=TOP1, split=split, setting=corruption, severity=severity,
        value=100 * correct / count, count=count, extra=extra,
    )  # fmt: skip


def select(
    measurements: Iterable[Measurement], measure: str, split: str | None = None
) -> list[Measurement]:
    """Return the rows of one measure, of all splits or of one."""
    return [
        row for row in measurements if row.measure == measure and split in (None, row.split)
    ]  # fmt: skip


def mean_top1(measurements: Iterable[Measurement], split: str) -> float:
    """Return the plain mean accuracy over the corruptions of ``split``, in percent."""
    rows = select(measurements, TOP1, split)
    return statistics.fmean(row.value for row in rows if row.setting != CLEAN)
