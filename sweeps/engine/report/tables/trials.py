"""The table of all trials in report.html: one line a trial, with the reason where one failed."""

from sweeps.engine.records import TrialResult
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import LONG_STATUS, SweepSummary
from sweeps.engine.report.summary.estimates import (
    binomial_interval,
    clean_rows,
    corrupted_rows,
    finite_objectives,
    share_unattainable,
)
from sweeps.engine.report.summary.space import point_of, value_text
from sweeps.engine.report.tables.table import Row, Table, numbers, words

NOTE = "Interval of one trial: binomial over test images, each counted once."


def build_trials(summary: SweepSummary) -> Table:
    """Return a row for each trial.

    Those with a reason or notes rank first, as these are shown nowhere else; then those of the best
    points.
    """
    validation = ["validation"]
    if len(summary.objectives) > 1:
        validation = [f"validation {name}" for name in summary.objectives]
    has_share = any(share_unattainable(trial) is not None for trial in summary.trials)
    explained = [trial for trial in summary.trials if trial.reason or trial.notes]
    ranked = [t for point in (*summary.by_rank, *summary.baselines) for t in point.trials]
    order = dict.fromkeys(trial.trial_id for trial in (*explained, *ranked))
    ranks = {trial_id: rank for rank, trial_id in enumerate(order)}
    labels = [name.replace("_", " ") for name in summary.labels]
    return Table(
        title="Every trial",
        columns=(
            *words("trial"), *numbers(*labels, "seed"), *words("status"),
            *numbers("epochs", *validation, "clean", summary.measure, "95 % interval"),
            *numbers(*["unattainable %"] * has_share, "seconds training", "evaluation"),
            *words("device"),
        ),
        rows=tuple(
            Row(_cells(summary, trial, has_share), rank=ranks[trial.trial_id])
            for trial in summary.trials
        ),
        note=NOTE if summary.trials else "No trial has ended yet.",
        complete="results.parquet has every accuracy of all trials, trials/ every record.",
    )  # fmt: skip


def _cells(summary: SweepSummary, trial: TrialResult, has_share: bool) -> tuple[str, ...]:
    values = list(map(value_text, point_of(trial.config, summary.description)))
    rows, clean = corrupted_rows(trial), clean_rows(trial)
    objectives = finite_objectives(trial, summary.objectives)
    mean, interval = "", ""
    if rows:
        found = binomial_interval(rows)
        mean, interval = percent(found.estimate), f"{percent(found.low)} to {percent(found.high)}"
    return (
        trial.trial_id,
        *values,
        *[""] * (len(summary.names) - len(values)),
        str(trial.config.seed),
        "\n".join(filter(None, (LONG_STATUS[trial.status], trial.reason, *trial.notes))),
        str(len(trial.history)),
        *map(percent, objectives or [None] * len(summary.objectives)),
        percent(clean[0].value) if clean else "",
        mean,
        interval,
        *[percent(share_unattainable(trial))] * has_share,
        *(percent(trial.seconds.get(part)) for part in ("training", "evaluation")),
        trial.device,
    )
