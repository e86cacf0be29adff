"""Tables 6 and 7 of the paper, with our own rows beside the published ones."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gon_core import paper
from gon_core.intervals import Interval, mean_interval, standard_error, wilson_interval
from gon_core.measurement import Measurement
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import CLEAN, PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import clean_rows, corrupted_rows
from sweeps.engine.report.summary.published import adversarial_rows
from sweeps.engine.report.summary.space import CHECKPOINT
from sweeps.engine.report.tables.table import Row, Table, numbers, words

ATTACKS = {"ddn": "l2 (1.5), DDN", "pgd": "l-inf (0.1), PGD"}
OUTSIDE = "†"
Z = 1.96  # standard errors on either side of a 95 % interval
COLUMNS_7 = {CLEAN: CLEAN} | ATTACKS
OURS = (
    "Accuracy in percent: our mean ± its standard error over seeds (marked *: one seed, the error "
    "is that of Wilson's interval over test images, each counted once)."
)
BESIDE = (
    "Paper: the published figure, at paper scale. Difference: ours - published, with "
    f"{OUTSIDE} where the published figure, whatever its rounding, is outside our 95 % interval: "
    "over seeds, and over which of the {test_images:,} test images were measured."
)


@dataclass(frozen=True)
class Cell:
    """One accuracy of one method.

    Attributes:
        ours: our mean in percent.
        error: its standard error; over seeds, or binomial of one seed.
        interval: the 95 % interval of the mean, for what all published test images would give.
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


def make_cell(
    top1: Sequence[float], count: int, test_images: int, published: str = ""
) -> Cell | None:
    """Return the cell of one accuracy over seeds; None if it was not measured.

    Args:
        top1: of each seed, in percent.
        count: test images that were measured, for the error of one seed.
        test_images: as many as there are.
        published: the paper's figure.
    """
    if not top1:
        return None
    mean = statistics.fmean(top1)
    images = wilson_interval(round(mean / 100 * count), count)
    if len(top1) == 1:
        return Cell(mean, (images.high - images.low) / (2 * Z), images, 1, published)
    seeds = mean_interval(list(top1))
    # All seeds see the same part of the test set: their spread does not show its choice.
    part = math.sqrt(max(0.0, 1 - count / test_images))
    below = math.hypot(mean - seeds.low, part * (mean - images.low))
    above = math.hypot(seeds.high - mean, part * (images.high - mean))
    interval = Interval(mean, mean - below, mean + above)
    return Cell(mean, standard_error(top1), interval, len(top1), published)


def table_6(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return Table 6: by method and column (clean, mean, corruptions), what was measured."""
    return {
        str(point.point[0]): {
            name: cell
            for name in columns(summary)
            if (cell := _accuracy(summary, point, name, _printed(summary, point, name)))
        }
        for point in summary.points
    }


def table_7(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return Table 7: by method and column (clean, attacks), what was measured."""
    found = {}
    for point in summary.points:
        published = summary.published.attacks.get(point.point, {})
        texts = {name: str(value) for name, value in published.items()}
        cells = {CLEAN: _accuracy(summary, point, CLEAN, texts.get(CLEAN, ""))}
        cells |= {name: _attack(summary, point, name, texts.get(name, "")) for name in ATTACKS}
        found[str(point.point[0])] = {name: cell for name, cell in cells.items() if cell}
    return {name: cells for name, cells in found.items() if cells.keys() & ATTACKS.keys()}


def _printed(summary: SweepSummary, point: PointSummary, name: str) -> str:
    row = summary.published.rows.get(point.point, {})
    return str(row[name]) if row.get(name) is not None else ""


def _accuracy(summary: SweepSummary, point: PointSummary, name: str, published: str) -> Cell | None:
    def rows(trial: TrialResult) -> list[Measurement]:
        if name == CLEAN:
            return clean_rows(trial)
        return [row for row in corrupted_rows(trial) if name in ("mean", row.setting)]

    return _over_seeds(summary, point, rows, published)


def _attack(summary: SweepSummary, point: PointSummary, name: str, published: str) -> Cell | None:
    def rows(trial: TrialResult) -> list[Measurement]:
        return [row for row in trial.of("attacks") if row.setting == name]

    return _over_seeds(summary, point, rows, published)


def _over_seeds(
    summary: SweepSummary,
    point: PointSummary,
    rows: Callable[[TrialResult], Sequence[Measurement]],
    published: str,
) -> Cell | None:
    measured = [found for trial in point.trials if (found := rows(trial))]
    top1 = [statistics.fmean(row.value for row in found) for found in measured]
    count = min((row.count for found in measured for row in found), default=1)
    return make_cell(top1, count, summary.benchmark.test_images, published)


def is_comparison(summary: SweepSummary) -> bool:
    """Whether the sweep compares models by their accuracies, not by their corruption errors."""
    return summary.names == ("variant",) and summary.suite.reference_errors is None


def columns(summary: SweepSummary) -> tuple[str, ...]:
    """Return what the table of corruptions has the accuracies of."""
    return (CLEAN, "mean", *summary.suite.corruptions)


def titles(summary: SweepSummary) -> tuple[str, str]:
    """Return the titles of the tables of corruptions and of attacks; the paper's have numbers."""
    known = summary.benchmark.published
    first = f"{known.title}: " if known else "Test "
    second = f"{known.adversarial_title}: " if known else "Test "
    return f"{first}accuracy on {summary.suite.title}", f"{second}accuracy under attack"


def build_methods(summary: SweepSummary) -> tuple[Table, ...]:
    """Return Tables 6 and 7, models down; none unless methods are compared.

    A row of ours for each and, beside a model of the paper, its row and the difference. The paper's
    rows without a model of ours come last, as published only.
    """
    if not is_comparison(summary):
        return ()
    six, seven = table_6(summary), table_7(summary)
    names = {name: name.replace("_", " ") for name in columns(summary)}
    title_6, title_7 = titles(summary)
    tables = [_table(summary, title_6, six, names, _others_6(summary), _reasons(summary))]
    if seven:
        note = _images_note(summary)
        tables.append(_table(summary, title_7, seven, COLUMNS_7, _others_7(summary), note))
    return tuple(tables)


def _table(
    summary: SweepSummary, title: str, cells: dict[str, dict[str, Cell]], columns: dict[str, str],
    others: dict[str, dict[str, str]], note: str,
) -> Table:  # fmt: skip
    rows = [
        Row(texts, rank=summary.ranks.get((name,), 0))
        for name, found in cells.items()
        for texts in _rows(name, found, list(columns))
    ]
    rows += [
        Row((model, "paper only", *(found[column] for column in columns)), "paper only")
        for model, found in others.items()
    ]
    heads = words(CHECKPOINT if summary.has_checkpoints else "method", "")
    notes = " ".join(filter(None, (_note(summary, cells), note)))
    return Table(title, (*heads, *numbers(*columns.values())), tuple(rows), notes, heads=2)


def _rows(name: str, cells: dict[str, Cell], columns: Sequence[str]) -> list[tuple[str, ...]]:
    def row(kind: str, text: Callable[[Cell], str]) -> tuple[str, ...]:
        # The name in each row: it stays in sight where a table is scrolled.
        return (name, kind, *(text(cells[c]) if c in cells else "" for c in columns))

    rows = [row("ours", lambda cell: cell.text)]
    if any(cell.published for cell in cells.values()):
        rows.append(row("paper", lambda cell: cell.published))
        rows.append(row("difference", lambda cell: cell.difference_text))
    return rows


def _others_6(summary: SweepSummary) -> dict[str, dict[str, str]]:
    """Return the paper's rows of Table 6 without a model of ours, by model and column."""
    known = summary.benchmark.published
    if known is None or not summary.published.rows:
        return {}
    shown = _models(summary)
    return {
        row["model"]: {column: str(row[column]) for column in columns(summary)}
        for row in paper.load(known.top1).to_pylist()
        if row["model"] not in shown
    }


def _others_7(summary: SweepSummary) -> dict[str, dict[str, str]]:
    known = summary.benchmark.published
    if known is None or not summary.published.attacks:
        return {}
    shown = _models(summary)
    return {
        model: {column: str(value) for column, value in row.items()}
        for model, row in adversarial_rows(known).items()
        if model not in shown
    }


def _models(summary: SweepSummary) -> set[str]:
    """Return the paper's names of the models that ours are compared with."""
    return {str(row["model"]) for row in summary.published.rows.values()}


def _note(summary: SweepSummary, cells: dict[str, dict[str, Cell]]) -> str:
    """Return what the numbers are, and which of the paper's rows ours are compared with."""
    beside = any(cell.published for found in cells.values() for cell in found.values())
    pairs = [
        f"{point[0]} beside {row['model']}"
        for point, row in summary.published.rows.items()
        if str(point[0]) in cells and point[0] != row["model"]
    ]
    named = f"The paper's rows: {', '.join(pairs)}." if pairs else ""
    told = BESIDE.format(test_images=summary.benchmark.test_images)
    return " ".join(filter(None, (OURS, told if beside else "", named if beside else "")))


def _reasons(summary: SweepSummary) -> str:
    known, others = summary.benchmark.published, _others_6(summary)
    not_trained = known.not_trained if known else {}
    reasons = [f"{model}: {why}" for model, why in not_trained.items() if model in others]
    return f"Paper only: {'; '.join(reasons)}." if reasons else ""


def _images_note(summary: SweepSummary) -> str:
    """Return that attacks were made on fewer images than the clean accuracy is of, if they were."""
    trials = [trial for point in summary.points for trial in point.trials if trial.of("attacks")]
    clean = {row.count for trial in trials for row in clean_rows(trial)}
    attacked = {row.count for trial in trials for row in trial.of("attacks")}
    if clean == attacked:
        return ""
    return (
        f"Clean accuracy is on {_counts(clean)} test images, the accuracy under attack on the "
        f"first {_counts(attacked)} of them."
    )


def _counts(found: set[int]) -> str:
    return " or ".join(f"{count:,}" for count in sorted(found))
