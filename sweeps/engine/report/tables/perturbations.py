"""Every measure but accuracy, such as epsilon* and accuracy under attack, as numbers.

Where methods are compared their accuracy under attack is in Table 7, and not repeated here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gon_core.evaluation import measure
from gon_core.evaluation.measure import Measure
from gon_core.intervals import mean_interval
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


@dataclass(frozen=True)
class Column:
    """The numbers of one setting of a measure.

    Attributes:
        name: of the measure.
        measure: itself.
        setting: as ``Measure.name`` has it.
    """

    name: str
    measure: Measure
    setting: str

    @property
    def head(self) -> str:
        """What stands above it."""
        head = self.measure.words if self.measure.head is None else self.measure.head
        return f"{head} {self.setting}".replace("_", " ").strip()

    def text(self, point: PointSummary) -> str:
        """Return the mean over seeds with its interval, or how many seeds have no finite value."""
        rows = [row for trial in point.trials for row in trial.of(self.name)]
        rows = [row for row in rows if self.measure.name(row) == self.setting]
        if not rows:
            return ""
        mark = "*" * any(row.extra.get("converged") is False for row in rows)
        infinite = sum(math.isinf(row.value) for row in rows)
        if infinite:
            share = "" if infinite == len(rows) else f" {infinite}/{len(rows)}"
            return f"never{share}{mark}"
        several = len(rows) > 1
        found = mean_interval([row.value for row in rows]) if several else rows[0].interval
        low, high = max(found.low, self.measure.limits[0]), min(found.high, self.measure.limits[1])
        mean, first, last = (f"{x:.{self.measure.decimals}f}" for x in (found.estimate, low, high))
        ends = "" if math.isnan(low) else f" ({first} to {last})".replace("inf", "never")
        return f"{mean}{mark}{ends}"


def build_perturbations(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table, a row for each point; none where nothing was measured."""
    columns = _columns(summary)
    if not columns:
        return ()
    rows = tuple(
        Row(
            (sentences.row_name(summary, point), *(column.text(point) for column in columns)),
            rank=summary.ranks.get(point.point, 0),
        )
        for point in summary.compared
    )
    heads = (*words(""), *numbers(*(column.head for column in columns)))
    return (Table(_title(columns), heads, rows, _note(columns, rows)),)


def _columns(summary: SweepSummary) -> list[Column]:
    """Return the columns: every measure but accuracy, and but what is in Table 7."""
    elsewhere = (TOP1, "attacks") if is_comparison(summary) else (TOP1,)
    names = [name for name in reversed(MEASURES) if name not in elsewhere]
    found = [
        Column(name, measure.get(name), measure.get(name).name(row))
        for name in names
        for point in summary.compared
        for trial in point.trials
        for row in trial.of(name)
    ]
    return list(dict.fromkeys(found))


def _title(columns: Iterable[Column]) -> str:
    titles = dict.fromkeys(column.measure.title or column.measure.words for column in columns)
    title = ", and ".join(titles)
    return title[:1].upper() + title[1:]


def _note(columns: Iterable[Column], rows: Iterable[Row]) -> str:
    measures = {column.name: column.measure for column in columns}
    notes = [each.note or f"{each.words}: {each.unit}." for each in measures.values()]
    starred = any("*" in cell for row in rows for cell in row.cells)
    return " ".join([*notes, *([UNCONVERGED] if starred else []), INTERVALS])
