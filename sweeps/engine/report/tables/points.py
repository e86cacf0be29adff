"""The table point x corruption."""

from collections.abc import Mapping
from typing import Any

from search_spaces.parameter import Point
from sweeps.engine.report import sentences
from sweeps.engine.report.sentences import percent
from sweeps.engine.report.summary.aggregate import CLEAN, SHORT_STATUS, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import Estimate
from sweeps.engine.report.summary.space import order, value_text
from sweeps.engine.report.tables.table import Column, Row, Table, numbers, words

HALF_WIDTH, UNATTAINABLE = "95 % ±", "unattainable"


def build_points(summary: SweepSummary) -> Table:
    """Return one row per point, and a published row below where there is one.

    Ascending by point; of a joint search the best first. Baselines come last, under their names.
    Columns of accuracies are in percent: summary first, then one per corruption.
    """
    columns = _columns(summary)
    if summary.search == "joint":
        rows = [_own(summary, columns, point) for point in summary.by_rank]
    else:
        keyed = [(p.point, 0, _own(summary, columns, p)) for p in summary.points]
        keyed += [(p, 1, _published(columns, p, r)) for p, r in summary.published.rows.items()]
        keyed.sort(key=lambda entry: (order(summary.parameters, entry[0]), entry[1]))
        rows = [row for _, _, row in keyed]
    rows += [_own(summary, columns, point) for point in summary.baselines]
    values = [label.replace("_", " ") for label in summary.labels]
    if len(values) > 1:
        values.insert(0, "#")
    measured = f"{sentences.what_was_measured(summary)} {sentences.INTERVALS}"
    return Table(
        title=f"Every {summary.kind}",
        columns=(*words(values[0]), *numbers(*values[1:]), *words(""), *columns.values()),
        rows=tuple(rows),
        note=measured if rows else f"No {summary.kind} has been tried yet.",
        heads=len(values) + 1,
    )


def _columns(summary: SweepSummary) -> dict[str, Column]:
    """Return the columns of numbers by their content."""
    has_share = any(point.unattainable is not None for point in summary.points)
    several = len(summary.objectives) > 1
    ended = {trial.status for trial in summary.trials}
    return {
        "mean": Column("mean"),
        HALF_WIDTH: Column(HALF_WIDTH),
        **({"published": Column("published")} if summary.published.curve else {}),
        CLEAN: Column(CLEAN),
        **{
            f"validation {name}": Column(f"validation {name}" if several else "validation")
            for name in summary.objectives
        },
        "seeds": Column("seeds"),
        **({UNATTAINABLE: Column(UNATTAINABLE)} if has_share else {}),
        **{
            status: Column(f"trials {word}")
            for status, word in SHORT_STATUS.items()
            if status in ended
        },
        **{
            name: Column(name.replace("_", " "), is_vertical=True)
            for name in summary.suite.corruptions
        },
    }  # fmt: skip


def _own(summary: SweepSummary, columns: Mapping[str, Column], point: PointSummary) -> Row:
    cells = {
        "mean": percent(point.test and point.test.mean),
        HALF_WIDTH: half_width(point.test),
        "published": percent(summary.published.curve.get(point.point)),
        CLEAN: percent(point.clean and point.clean.mean),
        "seeds": _seeds(point, len(summary.description.seeds)),
        UNATTAINABLE: percent(point.unattainable),
    }
    cells |= {status: str(count) for status, count in point.statuses.items()}
    cells |= {name: percent(top1) for name, top1 in point.corruptions.items()}
    for name, interval in point.objectives.items():
        cells[f"validation {name}"] = percent(interval.estimate)
    values = _values(point.point, point.number)
    mark = "best" if point is summary.best else "front" if point in summary.front else ""
    if summary.is_baseline(point.point):
        beside = len(summary.names) if len(summary.names) > 1 else 0  # columns behind the name
        values, mark = [str(point.point[0]), *[""] * beside], "baseline"
    texts = (*values, mark, *(cells.get(name, "") for name in columns))
    return Row(texts, mark, summary.ranks.get(point.point, 0))


def _published(columns: Mapping[str, Column], point: Point, row: Mapping[str, Any]) -> Row:
    # As many decimals as were printed: whole numbers for single corruptions.
    found = (row.get(name) for name in columns)
    texts = ("" if value is None else str(value) for value in found)
    return Row((*_values(point, None), "paper", *texts), "paper")


def _values(point: Point, number: int | None) -> list[str]:
    texts = list(map(value_text, point))
    return texts if len(texts) == 1 else ["" if number is None else f"#{number}", *texts]


def _seeds(point: PointSummary, planned: int) -> str:
    count = point.test.trials if point.test else 0
    return str(count) if point.is_complete else f"{count}/{planned}"


def half_width(estimate: Estimate | None) -> str:
    """Return half of the interval's width, marked where it is not over seeds."""
    if estimate is None:
        return ""
    return f"{estimate.half_width:.1f}" + ("" if estimate.is_over_seeds else "*")
