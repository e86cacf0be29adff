"""Every measure but accuracy, such as epsilon* and accuracy under attack, as numbers.

Where methods are compared their accuracy under attack has its own table, and is not repeated here.
"""

import math

from gon_core.evaluation import measure
from gon_core.intervals import mean_interval, percent_interval
from gon_core.measurement import TOP1
from gon_core.measures import MEASURES
from sweeps.engine.report import sentences
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.tables.methods import is_comparison
from sweeps.engine.report.tables.table import Row, Table, numbers, words

UNCONVERGED = "*: a noise generator had not converged."
INTERVALS = (
    "In brackets 95 % intervals: Student t over seeds; of one seed that of the median, or binomial "
    "over test images."
)


def build_perturbations(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table, a row for each point; none where nothing was measured."""
    elsewhere = (TOP1, "attacks") if is_comparison(summary) else (TOP1,)
    columns = dict.fromkeys(
        (name, measure.get(name).name(row))
        for name in reversed(MEASURES)
        if name not in elsewhere
        for point in summary.compared
        for trial in point.trials
        for row in trial.of(name)
    )
    if not columns:
        return ()
    rows = tuple(
        Row(
            (sentences.row_name(summary, point), *(_text(point, *column) for column in columns)),
            rank=summary.ranks.get(point.point, 0),
        )
        for point in summary.compared
    )
    measures = [measure.get(name) for name in dict.fromkeys(name for name, _ in columns)]
    title = ", and ".join(each.title or each.words for each in measures)
    notes = [each.note or f"{each.words}: {each.unit}." for each in measures]
    if any("*" in cell for row in rows for cell in row.cells):
        notes.append(UNCONVERGED)
    heads = (*words(""), *numbers(*(_head(*column) for column in columns)))
    return (Table(title[:1].upper() + title[1:], heads, rows, " ".join([*notes, INTERVALS])),)


def _head(name: str, setting: str) -> str:
    kind = measure.get(name)
    head = kind.words if kind.head is None else kind.head
    return f"{head} {setting}".replace("_", " ").strip()


def _text(point: PointSummary, name: str, setting: str) -> str:
    """Return the mean over seeds with its interval, or how many seeds have no finite value."""
    kind = measure.get(name)
    rows = [row for trial in point.trials for row in trial.of(name) if kind.name(row) == setting]
    if not rows:
        return ""
    mark = "*" * any(row.extra.get("converged") is False for row in rows)
    infinite = sum(math.isinf(row.value) for row in rows)
    if infinite:
        share = "" if infinite == len(rows) else f" {infinite}/{len(rows)}"
        return f"never{share}{mark}"
    of_mean = percent_interval if kind.unit == "percent" else mean_interval
    found = of_mean([row.value for row in rows]) if len(rows) > 1 else rows[0].interval
    low, high = max(found.low, kind.limits[0]), min(found.high, kind.limits[1])
    mean, first, last = (f"{x:.{kind.decimals}f}" for x in (found.estimate, low, high))
    ends = "" if math.isnan(low) else f" ({first} to {last})".replace("inf", "never")
    return f"{mean}{mark}{ends}"
