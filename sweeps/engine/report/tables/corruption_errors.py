"""Corruption errors, relative to a reference model's, as in Table 5: a row for each point."""

import statistics
from collections.abc import Sequence

from gon_core.evaluation.corruption_error import (
    corruption_errors,
    errors_over_severities,
    mean_without_noise,
)
from gon_core.measurement import TOP1
from sweeps.engine.records import TrialResult
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.estimates import clean_rows
from sweeps.engine.report.tables.table import Row, Table, numbers, words

NOTE = (
    "In percent. Columns of corruptions: top-1 error over the five severities, relative to "
    "AlexNet's; mCE is their mean. Without noise: top-1 accuracy over the 12 corruptions other "
    "than Gaussian, shot and impulse noise. Means over seeds."
)


def build_corruption_errors(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table; none unless the corruptions have a reference model's errors."""
    if summary.suite.reference_errors is None:
        return ()
    rows = []
    for point in summary.points:
        if trials := [trial for trial in point.trials if trial.measurements]:
            cells = (summary.text(point.point), *map(percent, _figures(trials)))
            rows.append(Row(cells, rank=summary.ranks[point.point]))
    if not rows:
        return ()
    heads = ("mCE", "top-1 clean", "without noise", "top-5", *summary.suite.corruptions)
    title = f"Corruption errors on {summary.suite.title}"
    return (Table(title, (*words(""), *numbers(*heads)), tuple(rows), NOTE),)


def _figures(trials: Sequence[TrialResult]) -> list[float | None]:
    found = [errors_over_severities(trial.measurements, "test") for trial in trials]
    errors = {name: statistics.fmean(each[name] for each in found) for name in found[0]}
    relative = corruption_errors(errors)
    clean = [row.value for trial in trials for row in clean_rows(trial)]
    rows = [row for trial in trials for row in trial.of(TOP1)]
    top5 = [top5 for row in rows if (top5 := row.number("top5")) is not None]
    return [
        statistics.fmean(relative.values()),
        statistics.fmean(clean) if clean else None,
        mean_without_noise({name: 100 - error for name, error in errors.items()}),
        statistics.fmean(top5) if top5 else None,
        *relative.values(),
    ]
