"""Tables 6 and 7 of the paper, with our own rows beside the published ones."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gon_core import paper
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.evaluation import AccuracyRow, AttackRow, mean_interval, standard_error
from gon_core.intervals import Interval, wilson_interval
from sweeps.engine.records import TrialResult
from sweeps.engine.report.aggregate import CLEAN, PointSummary, SweepSummary
from sweeps.engine.report.estimates import clean_rows, corrupted_rows
from sweeps.engine.report.text_tables import TextTable

COLUMNS = (CLEAN, "mean", *CORRUPTIONS)
ATTACKS = {"ddn": "l2 (1.5), DDN", "pgd": "l-inf (0.1), PGD"}
OUTSIDE = "†"
FIRST_COLUMN, CELL = 17, 27  # letters in a terminal
NOT_TRAINED = {
    "vanilla_wong": "another architecture (Wong et al.'s), at paper scale",
    "provable_wong": "not trained here: evaluate a checkpoint with evaluate_checkpoint.py",
    "vanilla_ddn": "the start of the DDN row, trained by its authors",
}
NOTE = (
    "Accuracy in percent: our mean ± its standard error over seeds (marked *: one seed, the error "
    "is binomial over test images, each counted once); the published figure at paper scale; the "
    f"difference ours - published, with {OUTSIDE} where the published figure, whatever its "
    "rounding, is outside our 95 % interval."
)


@dataclass(frozen=True)
class Cell:
    """One accuracy of one method.

    Attributes:
        ours: our mean in percent.
        error: its standard error; over seeds, or binomial of one seed.
        interval: the 95 % interval of the mean.
        seeds: how many.
        published: the paper's figure as printed; empty if there is none.
    """

    ours: float
    error: float
    interval: Interval
    seeds: int
    published: str = ""

    @property
    def difference(self) -> float:
        """Ours minus the published figure, in points."""
        return self.ours - float(self.published)

    @property
    def is_outside(self) -> bool:
        """Whether the published figure, whatever its rounding, is outside our interval."""
        rounding = 0.05 if "." in self.published else 0.5
        low, high = float(self.published) - rounding, float(self.published) + rounding
        return high < self.interval.low or low > self.interval.high

    @property
    def text(self) -> str:
        """Our mean and its error."""
        return f"{self.ours:.1f} ±{self.error:.1f}" + "*" * (self.seeds == 1)

    @property
    def difference_text(self) -> str:
        """The difference with its mark; empty without a published figure."""
        if not self.published:
            return ""
        return f"{self.difference:+.1f}" + OUTSIDE * self.is_outside


def make_cell(top1: Sequence[float], count: int, published: str = "") -> Cell | None:
    """Return the cell of one accuracy over seeds; None if it was not measured.

    Args:
        top1: of each seed, in percent.
        count: test images, for the error of one seed.
        published: the paper's figure.
    """
    if not top1:
        return None
    mean = statistics.fmean(top1)
    if len(top1) > 1:
        return Cell(mean, standard_error(top1), mean_interval(list(top1)), len(top1), published)
    error = 100 * math.sqrt(mean / 100 * (1 - mean / 100) / count)
    interval = wilson_interval(round(mean / 100 * count), count)
    return Cell(mean, error, interval, 1, published)


def table_6(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return Table 6: by method and column (clean, mean, corruptions), what was measured."""
    return {
        str(point.point[0]): {
            name: cell
            for name in COLUMNS
            if (cell := _accuracy(point, name, _printed(summary, point, name)))
        }
        for point in summary.points
    }


def table_7(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return Table 7: by method and column (clean, attacks), what was measured."""
    found = {}
    for point in summary.points:
        published = summary.published.attacks.get(point.point, {})
        texts = {name: str(value) for name, value in published.items()}
        cells = {CLEAN: _accuracy(point, CLEAN, texts.get(CLEAN, ""))}
        cells |= {name: _attack(point, name, texts.get(name, "")) for name in ATTACKS}
        found[str(point.point[0])] = {name: cell for name, cell in cells.items() if cell}
    return {name: cells for name, cells in found.items() if cells.keys() & ATTACKS.keys()}


def _printed(summary: SweepSummary, point: PointSummary, name: str) -> str:
    row = summary.published.rows.get(point.point, {})
    return str(row[name]) if row.get(name) is not None else ""


def _accuracy(point: PointSummary, name: str, published: str) -> Cell | None:
    def rows(trial: TrialResult) -> list[AccuracyRow]:
        if name == CLEAN:
            return clean_rows(trial)
        return [row for row in corrupted_rows(trial) if name in ("mean", row.corruption)]

    return _over_seeds(point, rows, published)


def _attack(point: PointSummary, name: str, published: str) -> Cell | None:
    return _over_seeds(
        point, lambda trial: [row for row in trial.attacks if row.attack == name], published
    )


def _over_seeds(
    point: PointSummary,
    rows: Callable[[TrialResult], Sequence[AccuracyRow | AttackRow]],
    published: str,
) -> Cell | None:
    measured = [found for trial in point.trials if (found := rows(trial))]
    top1 = [statistics.fmean(row.top1 for row in found) for found in measured]
    count = min((row.count for found in measured for row in found), default=1)
    return make_cell(top1, count, published)


def is_comparison(summary: SweepSummary) -> bool:
    """Whether the sweep compares models of MNIST, which Tables 6 and 7 are of."""
    return summary.names == ("variant",) and summary.corruptions == CORRUPTIONS


def build_method_tables(summary: SweepSummary) -> tuple[TextTable, ...]:
    """Return Tables 6 and 7 for a file, models down; none unless methods are compared."""
    if not is_comparison(summary):
        return ()
    six, seven = table_6(summary), table_7(summary)
    rows = [row for name, cells in six.items() for row in _rows(name, cells, COLUMNS)]
    if summary.published.rows:
        rows += _not_trained()
    heads = ("method", "", *(name.replace("_", " ") for name in COLUMNS))
    tables = [TextTable("Table 6: accuracy on MNIST-C", heads, tuple(rows), NOTE, left=2)]
    if seven:
        columns = (CLEAN, *ATTACKS)
        rows = [row for name, cells in seven.items() for row in _rows(name, cells, columns)]
        heads = ("method", "", CLEAN, *ATTACKS.values())
        title = "Table 7: accuracy under attack"
        tables.append(TextTable(title, heads, tuple(rows), NOTE, left=2))
    return tuple(tables)


def _rows(name: str, cells: dict[str, Cell], columns: Sequence[str]) -> list[tuple[str, ...]]:
    def row(kind: str, text: Callable[[Cell], str]) -> tuple[str, ...]:
        first = name if kind == "ours" else ""
        return (first, kind, *(text(cells[c]) if c in cells else "" for c in columns))

    rows = [row("ours", lambda cell: cell.text)]
    if any(cell.published for cell in cells.values()):
        rows.append(row("paper", lambda cell: cell.published))
        rows.append(row("difference", lambda cell: cell.difference_text))
    return rows


def _not_trained() -> list[tuple[str, ...]]:
    found = {row["model"]: row for row in paper.load("mnist_c_top1").to_pylist()}
    return [
        (f"{model} ({why})", "paper", *(str(found[model][column]) for column in COLUMNS))
        for model, why in NOT_TRAINED.items()
    ]


def terminal_tables(summary: SweepSummary, width: int) -> tuple[TextTable, ...]:
    """Return both tables for a window: Table 6 with corruptions down, in blocks that fit it.

    A cell is our mean and error and, for methods of the paper, its figure and the difference.
    """
    if not is_comparison(summary):
        return ()
    six, seven = table_6(summary), table_7(summary)
    tables = _blocks("Table 6: accuracy on MNIST-C", six, {c: c for c in COLUMNS}, width)
    tables += _blocks("Table 7: accuracy under attack", seven, {CLEAN: CLEAN} | ATTACKS, width)
    return (*tables[:-1], replace(tables[-1], note=NOTE))


def _blocks(
    title: str, cells: dict[str, dict[str, Cell]], columns: dict[str, str], width: int
) -> list[TextTable]:
    names, tables = list(cells), []
    per_block = max(1, (width - FIRST_COLUMN) // CELL)
    for start in range(0, len(names), per_block):
        shown = names[start : start + per_block]
        rows = tuple(
            (text, *(_in_one(cells[name].get(column)) for name in shown))
            for column, text in columns.items()
        )
        tables.append(TextTable(f"{title}; ours | paper | difference", ("", *shown), rows))
    return tables


def _in_one(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if not cell.published:
        return cell.text
    return f"{cell.text} | {cell.published} | {cell.difference_text}"
