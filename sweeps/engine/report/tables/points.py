"""The tables of every point, by corruption, and of every trial, with the reason if it failed."""

from collections.abc import Iterable, Mapping
from typing import Any

from gon_core.measurement import CLEAN
from search_spaces.parameter import Point, value_text
from sweeps.engine.records import TrialResult
from sweeps.engine.report import sentences
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary import estimates
from sweeps.engine.report.summary.aggregate import (
    LONG_STATUS,
    SHORT_STATUS,
    PointSummary,
    SweepSummary,
)
from sweeps.engine.report.summary.space import order
from sweeps.engine.report.tables.table import Column, Row, Table, numbers, words

HALF_WIDTH, UNATTAINABLE, MCE = "95 % ±", "unattainable", "mCE"
ERRORS = "mCE: mean corruption error, the plain mean of errors in percent."
ONE_TRIAL = "Interval of one trial: over test images, each by its mean over corruptions."


def build_points(summary: SweepSummary) -> Table:
    """Return one row per point, and a published row below where there is one.

    Ascending by point; of a joint search the best first. Baselines come last, under their names.
    Columns of accuracies are in percent: summary first, then one per corruption.
    """
    heads = _heads(summary)
    if summary.search == "joint":
        rows = [_own(summary, heads, point) for point in summary.by_rank]
    else:
        keyed = [(p.point, 0, _own(summary, heads, p)) for p in summary.points]
        keyed += [(p, 1, _published(heads, p, r)) for p, r in summary.published.rows.items()]
        keyed.sort(key=lambda entry: (order(summary.parameters, entry[0]), entry[1]))
        rows = [row for _, _, row in keyed]
    rows += [_own(summary, heads, point) for point in summary.baselines]
    values = [label.replace("_", " ") for label in summary.labels]
    if len(values) > 1:
        values.insert(0, "#")
    measured = f"{sentences.what_was_measured(summary)} {sentences.INTERVALS}"
    measured += f" {ERRORS}" if _has_errors(summary) else ""
    vertical = summary.suite.corruptions
    columns = [Column(head, is_vertical=key in vertical) for key, head in heads.items()]
    return Table(
        title=f"Every {summary.kind}",
        columns=(*words(values[0]), *numbers(*values[1:]), *words(""), *columns),
        rows=tuple(rows),
        note=measured if rows else f"No {summary.kind} has been tried yet.",
        heads=len(values) + 1,
    )


def _heads(summary: SweepSummary) -> dict[str, str]:
    """Return the heads of the columns of numbers by their content."""
    ended = {trial.status for trial in summary.trials}
    keys = ["mean", HALF_WIDTH, *["published"] * bool(summary.published.curve), CLEAN]
    keys += [*[MCE] * _has_errors(summary), *_validation(summary), "seeds"]
    if any(point.unattainable is not None for point in summary.points):
        keys.append(UNATTAINABLE)
    return {
        **{key: key for key in keys},
        **{status: f"trials {word}" for status, word in SHORT_STATUS.items() if status in ended},
        **{name: name.replace("_", " ") for name in summary.suite.corruptions},
    }


def _has_errors(summary: SweepSummary) -> bool:
    """Whether the mean of errors is shown too.

    Corruption errors that are relative to a reference model have a table of their own.
    """
    return summary.suite.plain_mce


def _validation(summary: SweepSummary) -> list[str]:
    names = summary.objectives
    return [f"validation {name}" for name in names] if len(names) > 1 else ["validation"]


def _own(summary: SweepSummary, heads: Iterable[str], point: PointSummary) -> Row:
    seeds = str(point.test.trials if point.test else 0)
    cells = {
        "mean": percent(point.test.mean if point.test else None),
        HALF_WIDTH: point.test.half_width if point.test else "",
        "published": percent(summary.published.curve.get(point.point)),
        CLEAN: percent(point.clean.mean if point.clean else None),
        MCE: percent(100 - point.test.mean if point.test else None),
        "seeds": seeds if point.is_complete else f"{seeds}/{len(summary.description.seeds)}",
        UNATTAINABLE: percent(point.unattainable),
    }
    cells |= {status: str(count) for status, count in point.statuses.items()}
    cells |= {name: percent(top1) for name, top1 in point.corruptions.items()}
    cells |= dict(zip(_validation(summary), map(percent, point.means), strict=False))
    values = _values(point.point, f"#{point.number}")
    mark = "best" if point is summary.best else "front" if point in summary.front else ""
    if summary.is_baseline(point.point):
        beside = len(summary.names) if len(summary.names) > 1 else 0  # columns behind the name
        values, mark = [str(point.point[0]), *[""] * beside], "baseline"
    texts = (*values, mark, *(cells.get(name, "") for name in heads))
    return Row(texts, mark, summary.ranks.get(point.point, 0))


def _published(heads: Iterable[str], point: Point, row: Mapping[str, Any]) -> Row:
    # As many decimals as were printed: whole numbers for single corruptions.
    texts = (str(row.get(name, "")) for name in heads)
    return Row((*_values(point, ""), "paper", *texts), "paper")


def _values(point: Point, number: str) -> list[str]:
    texts = list(map(value_text, point))
    return texts if len(texts) == 1 else [number, *texts]


def build_trials(summary: SweepSummary) -> Table:
    """Return a row for each trial.

    Those with a reason or notes rank first, as these are shown nowhere else; then those of the best
    points.
    """
    has_share = any(estimates.share_unattainable(trial) is not None for trial in summary.trials)
    explained = [trial for trial in summary.trials if trial.reason or trial.notes]
    ranked = [t for point in (*summary.by_rank, *summary.baselines) for t in point.trials]
    ids = dict.fromkeys(trial.trial_id for trial in (*explained, *ranked))
    ranks = {trial_id: rank for rank, trial_id in enumerate(ids)}
    labels = [name.replace("_", " ") for name in summary.labels]
    return Table(
        title="Every trial",
        columns=(
            *words("trial"), *numbers(*labels, "seed"), *words("status"),
            *numbers("epochs", *_validation(summary), "clean", summary.measure, "95 % interval"),
            *numbers(*["unattainable %"] * has_share, "seconds training", "evaluation"),
            *words("device"),
        ),
        rows=tuple(
            Row(_trial_cells(summary, trial, has_share), rank=ranks[trial.trial_id])
            for trial in summary.trials
        ),
        note=ONE_TRIAL if summary.trials else "No trial has ended yet.",
        complete="results.parquet has every accuracy of all trials, trials/ every record.",
    )  # fmt: skip


def _trial_cells(summary: SweepSummary, trial: TrialResult, has_share: bool) -> tuple[str, ...]:
    values = list(map(value_text, summary.description.point_of(trial.config)))
    rows, clean = estimates.corrupted_rows(trial), estimates.clean_rows(trial)
    objectives = estimates.finite_objectives(trial, summary.objectives)
    mean, interval = "", ""
    if rows:
        found = estimates.interval_over_images(trial, rows)
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
        *[percent(estimates.share_unattainable(trial))] * has_share,
        *(percent(trial.seconds.get(part)) for part in ("training", "evaluation")),
        trial.device,
    )
