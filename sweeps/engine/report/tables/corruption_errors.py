"""Corruption errors, relative to a reference model's, as in Table 5: a row for each point."""

import statistics
from collections.abc import Sequence

from gon_core.paper.imagenet import PRINTED
from sweeps.engine.records import TrialResult
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.imagenet_columns import read
from sweeps.engine.report.tables.table import Row, Table, numbers, words

HEADS = ("mCE", "clean", "without noise", "top-5")
NOTE = (
    "In percent. Columns of corruptions: top-1 error over the five severities, relative to "
    "AlexNet's; mCE is their mean. Without noise: top-1 accuracy over the 12 corruptions other "
    "than Gaussian, shot and impulse noise. Top-5: accuracy over the 15. Means over seeds."
)


def build_corruption_errors(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table; none unless the corruptions have a reference model's errors."""
    if summary.suite.reference_errors is None:
        return ()
    rows, columns = [], (*HEADS, *summary.suite.corruptions)
    for point in summary.points:
        if trials := [trial for trial in point.trials if trial.measurements]:
            figures = (percent(_figure(trials, column)) for column in columns)
            rows.append(Row((summary.text(point.point), *figures), rank=summary.ranks[point.point]))
    if not rows:
        return ()
    title = f"Corruption errors on {summary.suite.title}"
    return (Table(title, (*words(""), *numbers(*columns)), tuple(rows), NOTE),)


def _figure(trials: Sequence[TrialResult], column: str) -> float | None:
    found = [reading for trial in trials if (reading := read(trial, column, PRINTED["5"]))]
    return statistics.fmean(each.shown(each.accuracy) for each in found) if found else None
