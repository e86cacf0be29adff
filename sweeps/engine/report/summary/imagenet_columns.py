"""The columns of tables on ImageNet-C, as ``gon_core.paper.imagenet`` names them, of our models."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from gon_core.evaluation.corruption_error import ALEXNET_ERRORS
from gon_core.measurement import Measurement
from gon_core.paper.imagenet import CORRUPTIONS, NOISES, PrintedTable
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.estimates import clean_rows, corrupted_rows


@dataclass(frozen=True)
class Reading:
    """How a column is read from the measurements of one model.

    Attributes:
        rows: those that its mean is over.
        weights: of the corruptions in it; None for equal ones.
        reference: error of AlexNet that ours is relative to, a fraction of 1; None for accuracies.
    """

    rows: list[Measurement]
    weights: Mapping[str, float] | None = None
    reference: float | None = None

    @property
    def accuracy(self) -> float:
        """The mean of the rows, in percent."""
        if self.weights is None:
            return statistics.fmean(row.value for row in self.rows)
        total = [self.weights[row.setting] for row in self.rows]
        return sum(w * r.value for w, r in zip(total, self.rows, strict=True)) / sum(total)

    def shown(self, accuracy: float) -> float:
        """Return what a table shows of an accuracy: itself, or its error relative to AlexNet's."""
        return accuracy if self.reference is None else (100 - accuracy) / self.reference


def read(trial: TrialResult, column: str, table: PrintedTable) -> Reading | None:
    """Return how a table's column is read from a trial; None if it lacks what that is made of."""
    if (setting := table.settings.get(column)) is not None:
        return _unless_empty([row for row in trial.of(table.measure) if row.setting == setting])
    rows = corrupted_rows(trial)
    if column == "clean":
        return _unless_empty(clean_rows(trial))
    if column in CORRUPTIONS:
        reference = ALEXNET_ERRORS[column] if table.is_of_errors else None
        return _unless_empty([row for row in rows if row.setting == column], reference)
    if {row.setting for row in rows} != set(CORRUPTIONS):
        return None
    if column == "mCE":
        # A mean of errors, each over AlexNet's: that of a mean in which corruptions weigh so.
        weights = {name: 1 / error for name, error in ALEXNET_ERRORS.items()}
        return Reading(rows, weights, 1 / statistics.fmean(weights.values()))
    if "without noise" in column:
        rows = [row for row in rows if row.setting not in NOISES]
    if "top-5" in column:
        rows = [
            row.model_copy(update={"value": top5})
            for row in rows
            if (top5 := row.number("top5")) is not None
        ]
    is_known = column in ("mean", "without noise", "top-5", "top-5 without noise")
    return _unless_empty(rows) if is_known else None


def _unless_empty(rows: list[Measurement], reference: float | None = None) -> Reading | None:
    return Reading(rows, reference=reference) if rows else None
