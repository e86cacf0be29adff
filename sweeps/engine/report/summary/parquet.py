"""Everything that was measured in a sweep as one Parquet file, for whoever computes further."""

import math
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from gon_core.evaluation import measure
from gon_core.measurement import CLEAN, SEVERITIES_SPLIT, TOP1, Measurement
from gon_core.measures import MEASURES
from search_spaces.parameter import Choice, Parameter, Real, value_text
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import SweepSummary

SPLITS = ("validation", "test", SEVERITIES_SPLIT)
TRIALS_AT_A_TIME = 1_000  # in a row group: all at once would take a GB of memory
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
TYPES = {bool: pa.bool_(), int: WHOLE, float: REAL, str: TEXT}


def column_type(parameter: Parameter) -> pa.DataType:
    """Return the type of the parameter's column: text if a word is among its values."""
    if not isinstance(parameter, Choice):
        return REAL if isinstance(parameter, Real) else WHOLE
    kinds = set(map(type, parameter.values))
    return TEXT if str in kinds else REAL if float in kinds else WHOLE


def _schema(summary: SweepSummary) -> pa.Schema:
    searched = {parameter.name: column_type(parameter) for parameter in summary.parameters}
    settings = {measure.get(name).setting: TEXT for name in MEASURES}
    columns = {
        "trial_id": TEXT, **searched, "seed": WHOLE, "status": TEXT, "method": TEXT,
        "baseline": TEXT, "measure": TEXT, "split": TEXT, **settings, "severity": WHOLE,
        "value": REAL, "low": REAL, "high": REAL, "count": WHOLE,
    }  # fmt: skip
    last = {
        "epochs": WHOLE, "objective": REAL, "seconds_training": REAL, "seconds_evaluation": REAL,
        "device": TEXT, "ended": TEXT,
    }  # fmt: skip
    taken = columns | last
    found = dict.fromkeys(
        (name, type(value))
        for trial in summary.trials
        for row in trial.measurements
        for name, value in row.extra.items()
        if name not in taken
    )
    # Where a column has whole numbers and others, all are floats.
    further = {name: TYPES[float if (name, float) in found else kind] for name, kind in found}
    return pa.schema(list((columns | further | last).items()))


def render_parquet(summary: SweepSummary) -> bytes:
    """Return the Parquet file: one row a measurement of a trial; seconds are wall time.

    ``measure`` is its name and ``value`` its number, in the measure's unit: percent of ``top1`` and
    of accuracies under attack, an l2 size of ``epsilon_star``. Its setting is in the column of its
    kind: ``corruption``, ``attack`` or ``noise``. ``low`` and ``high`` are the ends of the 95 %
    interval of the value. Further columns are those of ``Measurement.extra``. A trial without
    measurements (pruned, diverged, failed) has one row with a null measure. Each searched parameter
    has a column, of text where words are among its values. A trial of a method that was trained
    beside the search has its name as ``baseline``, and no values of the searched parameters.
    """
    trials, schema = summary.trials, _schema(summary)
    sink = pa.BufferOutputStream()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for first in range(0, max(len(trials), 1), TRIALS_AT_A_TIME):
            some = trials[first : first + TRIALS_AT_A_TIME]
            rows = [row for trial in some for row in _trial_rows(summary, trial)]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return sink.getvalue().to_pybytes()


def trial_columns(summary: SweepSummary, trial: TrialResult) -> dict[str, Any]:
    """Return what is the same in every row of a trial; a baseline has no searched values."""
    point = summary.description.point_of(trial.config)
    is_baseline = summary.is_baseline(point)
    values = {}
    if not is_baseline:
        for parameter, value in zip(summary.parameters, point, strict=True):
            is_text = column_type(parameter) == TEXT
            values[parameter.name] = value_text(value) if is_text else value
    return {
        "trial_id": trial.trial_id,
        **values,
        "seed": trial.config.seed,
        "status": trial.status,
        "method": trial.config.method.method,
        "baseline": str(point[0]) if is_baseline else None,
        "epochs": len(trial.history),
        "objective": trial.objective,
        "seconds_training": trial.seconds.get("training"),
        "seconds_evaluation": trial.seconds.get("evaluation"),
        "device": trial.device,
        "ended": trial.ended,
    }


def _trial_rows(summary: SweepSummary, trial: TrialResult) -> list[dict]:
    common = trial_columns(summary, trial)
    settings = {name: index for index, name in enumerate((CLEAN, *summary.suite.corruptions))}

    def position(row: Measurement) -> tuple[int, ...]:
        """Return accuracies first, in the suite's order; the others as they were measured."""
        if row.measure != TOP1:
            return (1,)
        setting = settings.get(row.setting, len(settings))
        return 0, SPLITS.index(row.split), setting, row.severity or 0

    return [common | _columns(row) for row in sorted(trial.measurements, key=position)] or [common]


def _columns(row: Measurement) -> dict[str, Any]:
    low, high = (None if math.isnan(end) else end for end in row.interval[1:])
    return row.extra | {
        "measure": row.measure,
        "split": row.split,
        measure.get(row.measure).setting: row.setting,
        "severity": row.severity,
        "value": row.value,
        "low": low,
        "high": high,
        "count": row.count,
    }
