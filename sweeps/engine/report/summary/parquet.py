"""Everything that was measured in a sweep as one Parquet file, for whoever computes further."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from gon_core.evaluation import measure
from gon_core.measurement import SEVERITIES_SPLIT, TOP1, Measurement
from gon_core.measures import MEASURES
from search_spaces.parameter import Parameter
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import CLEAN, SweepSummary
from sweeps.engine.report.summary.space import column_type, column_value

SPLITS = ("validation", "test", SEVERITIES_SPLIT)
TRIALS_AT_A_TIME = 1_000  # in a row group: all at once would take a GB of memory
TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def schema(parameters: Sequence[Parameter], trials: Iterable[TrialResult] = ()) -> pa.Schema:
    """Return the columns; seconds are wall time.

    Each searched parameter has its own, of text where words are among its values; so has each
    further column of a measurement of ``trials``.
    """
    columns = {
        "trial_id": pa.string(),
        **{parameter.name: column_type(parameter) for parameter in parameters},
        "seed": pa.int64(),
        "status": pa.string(),
        "method": pa.string(),
        "baseline": pa.string(),
        "measure": pa.string(),
        "split": pa.string(),
        **{measure.get(name).setting: pa.string() for name in MEASURES},
        "severity": pa.int64(),
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "count": pa.int64(),
    }
    last = {
        "epochs": pa.int64(),
        "objective": pa.float64(),
        "seconds_training": pa.float64(),
        "seconds_evaluation": pa.float64(),
        "device": pa.string(),
        "ended": pa.string(),
    }
    return pa.schema(list((columns | _further_columns(trials, columns | last) | last).items()))


def _further_columns(trials: Iterable[TrialResult], taken: Iterable[str]) -> dict[str, pa.DataType]:
    kinds: dict[str, set[type]] = {}
    for trial in trials:
        for row in trial.measurements:
            for name, value in row.extra.items():
                kinds.setdefault(name, set()).add(type(value))
    types = {name: _common(found) for name, found in kinds.items()}
    return {name: kind for name, kind in types.items() if name not in set(taken)}


def _common(kinds: set[type]) -> pa.DataType:
    if len(kinds) == 1:
        return TYPES[kinds.pop()]
    return pa.string() if str in kinds else pa.float64()


def render_parquet(summary: SweepSummary) -> bytes:
    """Return the Parquet file: one row a measurement of a trial.

    ``measure`` is its name and ``value`` its number, in the measure's unit: percent of ``top1`` and
    of accuracies under attack, an l2 size of ``epsilon_star``. Its setting is in the column of its
    kind: ``corruption``, ``attack`` or ``noise``. ``low`` and ``high`` are the ends of the 95 %
    interval of the value. Further columns are those of ``Measurement.extra``. A trial without
    measurements (pruned, diverged, failed) has one row with a null measure. A trial of a method
    that was trained beside the search has its name as ``baseline``, and no values of the searched
    parameters.
    """
    trials = summary.trials
    columns = schema(summary.parameters, trials)
    sink = pa.BufferOutputStream()
    with parquet.ParquetWriter(sink, columns, compression="zstd") as writer:
        for first in range(0, max(len(trials), 1), TRIALS_AT_A_TIME):
            some = trials[first : first + TRIALS_AT_A_TIME]
            rows = [row for trial in some for row in _trial_rows(summary, trial)]
            writer.write_table(pa.Table.from_pylist(rows, schema=columns))
    return sink.getvalue().to_pybytes()


def _trial_rows(summary: SweepSummary, trial: TrialResult) -> list[dict]:
    point = summary.point_of(trial)
    values = {} if summary.is_baseline(point) else zip(summary.parameters, point, strict=True)
    common = {
        "trial_id": trial.trial_id,
        **{parameter.name: column_value(parameter, value) for parameter, value in values},
        "seed": trial.config.seed,
        "status": trial.status,
        "method": trial.config.method.method,
        "baseline": str(point[0]) if summary.is_baseline(point) else None,
        "epochs": len(trial.history),
        "objective": trial.objective,
        "seconds_training": trial.seconds.get("training"),
        "seconds_evaluation": trial.seconds.get("evaluation"),
        "device": trial.device,
        "ended": trial.ended,
    }
    settings = {name: index for index, name in enumerate((CLEAN, *summary.suite.corruptions))}

    def position(row: Measurement) -> tuple[int, ...]:
        """Return accuracies first, in the suite's order; the others as they were measured."""
        if row.measure != TOP1:
            return (1,)
        setting = settings.get(row.setting, len(settings))
        return 0, SPLITS.index(row.split), setting, row.severity or 0

    return [common | _columns(row) for row in sorted(trial.measurements, key=position)] or [common]


def _columns(row: Measurement) -> dict[str, Any]:
    interval = row.interval
    return dict(row.extra) | {
        "measure": row.measure,
        "split": row.split,
        measure.get(row.measure).setting: row.setting,
        "severity": row.severity,
        "value": row.value,
        "low": None if math.isnan(interval.low) else interval.low,
        "high": None if math.isnan(interval.high) else interval.high,
        "count": row.count,
    }
