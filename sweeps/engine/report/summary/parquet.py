"""Every accuracy of a sweep in one Parquet file, for whoever wants to compute further."""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import parquet

from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import AccuracyRow, AttackRow, PerturbationSizeRow
from gon_core.rows import SEVERITIES_SPLIT
from search_spaces.parameter import Parameter
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import CLEAN, SweepSummary
from sweeps.engine.report.summary.space import column_type, column_value

SPLITS = ("validation", "test", SEVERITIES_SPLIT)
TRIALS_AT_A_TIME = 1_000  # in a row group: all at once would take a GB of memory
ORDER = {name: index for index, name in enumerate((CLEAN, *CORRUPTIONS))}


def schema(parameters: Sequence[Parameter]) -> pa.Schema:
    """Return the columns; accuracies are in percent, seconds are wall time.

    Each searched parameter has its own, of text where words are among its values.
    """
    return pa.schema(
        [
            ("trial_id", pa.string()),
            *((parameter.name, column_type(parameter)) for parameter in parameters),
            ("seed", pa.int64()),
            ("status", pa.string()),
            ("method", pa.string()),
            ("baseline", pa.string()),
            ("measure", pa.string()),
            ("split", pa.string()),
            ("corruption", pa.string()),
            ("severity", pa.int64()),
            ("correct", pa.int64()),
            ("count", pa.int64()),
            ("top1", pa.float64()),
            ("low", pa.float64()),
            ("high", pa.float64()),
            ("top5", pa.float64()),
            ("attack", pa.string()),
            ("noise", pa.string()),
            ("size", pa.float64()),
            ("already_wrong", pa.int64()),
            ("never", pa.int64()),
            ("sampled", pa.int64()),
            ("non_monotone", pa.int64()),
            ("per_image", pa.bool_()),
            ("converged", pa.bool_()),
            ("epochs", pa.int64()),
            ("objective", pa.float64()),
            ("seconds_training", pa.float64()),
            ("seconds_evaluation", pa.float64()),
            ("device", pa.string()),
            ("ended", pa.string()),
        ]
    )


def render_parquet(summary: SweepSummary) -> bytes:
    """Return the Parquet file: one row per trial x split x corruption x severity.

    ``measure`` says what a row is: ``accuracy``; ``attack``, the accuracy under one whose largest
    perturbation is ``size``; or ``epsilon_star``, where ``size`` is the median perturbation size of
    one ``noise``. ``low`` and ``high`` are the ends of the 95 % interval of ``top1`` (binomial,
    Wilson), or of the median size. The columns from ``already_wrong`` to ``converged`` are of
    ``epsilon_star`` alone, see ``PerturbationSizeRow``. A trial without figures (pruned, diverged,
    failed) has one row with a null measure. A trial of a method that was trained beside the search
    has its name as ``baseline``, and no values of the searched parameters.
    """
    columns, trials = schema(summary.parameters), summary.trials
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
    figures = [
        *map(_accuracy, sorted(trial.rows, key=_position)),
        *map(_attack, trial.attacks),
        *map(_perturbation_size, trial.perturbation_sizes),
    ]
    return [common | figure for figure in figures] or [common]


def _position(row: AccuracyRow) -> tuple[int, int, str, int]:
    # The paper's order; what it does not name comes last, by name.
    split = SPLITS.index(row.split) if row.split in SPLITS else len(SPLITS)
    return split, ORDER.get(row.corruption, len(ORDER)), row.corruption, row.severity


def _accuracy(row: AccuracyRow) -> dict:
    interval = row.interval
    return {
        "measure": "accuracy",
        "split": row.split,
        "corruption": row.corruption,
        "severity": row.severity,
        "correct": row.correct,
        "count": row.count,
        "top1": row.top1,
        "low": interval.low,
        "high": interval.high,
        "top5": row.top5,
    }


def _attack(row: AttackRow) -> dict:
    interval = row.interval
    return {
        "measure": "attack",
        "split": "test",
        "attack": row.attack,
        "size": row.size,
        "correct": row.correct,
        "count": row.count,
        "top1": row.top1,
        "low": interval.low,
        "high": interval.high,
    }


def _perturbation_size(row: PerturbationSizeRow) -> dict:
    return {
        "measure": "epsilon_star",
        "split": "test",
        "noise": row.noise,
        "size": row.median,
        "count": row.count,
        "low": row.low,
        "high": row.high,
        "already_wrong": row.already_wrong,
        "never": row.never,
        "sampled": row.sampled,
        "non_monotone": row.non_monotone,
        "per_image": row.per_image,
        "converged": row.converged,
    }
