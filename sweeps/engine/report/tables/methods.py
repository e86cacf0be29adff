"""Accuracy by corruption and under attack, our rows beside those of the paper's Tables 6 and 7."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gon_core import intervals
from gon_core.benchmarks import THE_PAPER, Benchmark
from gon_core.measurement import CLEAN, Measurement
from sweeps.engine.records import TrialResult
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import certain_images, clean_rows, corrupted_rows
from sweeps.engine.report.summary.published import adversarial_rows, top1_rows
from sweeps.engine.report.summary.space import CHECKPOINT
from sweeps.engine.report.tables.table import Row, Table, numbers, words

MEAN = "mean"  # over the corruptions
NORMS = {"l2": "l2", "linf": "l-inf"}
OUTSIDE = "†"
Z = 1.96  # standard errors on either side of a 95 % interval
OURS = (
    "Accuracy in percent: our mean ± its standard error over seeds (marked *: one seed, the error "
    "is over test images, each by its mean over corruptions)."
)
BESIDE = (
    "Paper: {label}. Difference: ours - published, with "
    f"{OUTSIDE} where the published figure, whatever its rounding, is outside our 95 % interval: "
    "over seeds, and over which of the {test_images:,} test images were measured."
)


@dataclass(frozen=True)
class Cell:
    """One accuracy of one method.

    Attributes:
        ours: our mean in percent.
        error: its standard error; over seeds, or over images of one seed.
        interval: the 95 % interval of the mean, for what all published test images would give.
        seeds: how many.
        published: the paper's figure as printed; empty if there is none.
    """

    ours: float
    error: float
    interval: intervals.Interval
    seeds: int
    published: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether the published figure, whatever its rounding, is outside our interval."""
        rounding = 0.5 * 10.0 ** -len(self.published.partition(".")[2])
        low, high = float(self.published) - rounding, float(self.published) + rounding
        return high < self.interval.low or low > self.interval.high

    @property
    def text(self) -> str:
        """Our mean and its error; of a size that no noise reaches, "never"."""
        if math.isinf(self.ours):
            return "never" + "*" * (self.seeds == 1)
        return f"{self.ours:.1f} ±{self.error:.1f}" + "*" * (self.seeds == 1)

    @property
    def difference(self) -> str:
        """Ours minus the published figure, in points; empty without one."""
        if not self.published or math.isinf(self.ours):
            return ""
        return f"{self.ours - float(self.published):+.1f}" + OUTSIDE * self.is_outside


def make_cell(
    top1: list[float], count: int, test_images: int, published: str = "",
    certain: float | None = None,
) -> Cell:  # fmt: skip
    """Return the cell of one accuracy over seeds.

    Args:
        top1: of each seed, in percent.
        count: test images that were measured, for the error of one seed.
        test_images: as many as there are.
        published: the paper's figure.
        certain: right or wrong answers that the accuracy is worth, see ``certain_images``; None for
            ``count``.
    """
    mean, answers = statistics.fmean(top1), certain or float(count)
    if len(top1) == 1:
        deviation = 100 * math.sqrt(mean / 100 * (1 - mean / 100) * count / answers)
        interval = intervals.shares_interval(mean, deviation, count)
        return Cell(mean, (interval.high - interval.low) / (2 * Z), interval, 1, published)
    interval = intervals.mean_interval_of_part(top1, count, test_images, answers)
    return Cell(mean, intervals.standard_error(top1), interval, len(top1), published)


def table_6(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return what was measured, by method and column: clean, mean, and each corruption."""
    columns = (CLEAN, MEAN, *summary.suite.corruptions)
    return {
        str(point.point[0]): _cells(summary, point, columns, summary.published.rows)
        for point in summary.points
    }


def table_7(summary: SweepSummary) -> dict[str, dict[str, Cell]]:
    """Return what was measured, by method and column: clean, and each attack."""
    columns = (CLEAN, *attack_heads(summary.benchmark))
    return {
        str(point.point[0]): _cells(summary, point, columns, summary.published.attacks)
        for point in summary.points
        if any(trial.of("attacks") for trial in point.trials)
    }


def attack_heads(benchmark: Benchmark) -> dict[str, str]:
    """Return by attack its norm, size and method in words, those in l2 first."""
    names = sorted(benchmark.attacks)
    steps = {benchmark.attacks[name].steps for name in names}
    return {
        name: f"{NORMS[attack.norm]} ({attack.size:g}), {attack.name.upper()}"
        + f", {attack.steps} steps" * (len(steps) > 1)
        for name in names
        if (attack := benchmark.attacks[name])
    }


def _cells(
    summary: SweepSummary, point: PointSummary, columns: Sequence[str], published: Mapping
) -> dict[str, Cell]:
    cells, row = {}, published.get(point.point, {})
    for name in columns:
        if measured := [rows for trial in point.trials if (rows := _measured(trial, name))]:
            top1 = [statistics.fmean(row.value for row in rows) for rows in measured]
            count = min(row.count for rows in measured for row in rows)
            printed = str(row.get(name, ""))
            certain = None
            if name == MEAN:
                trials = [trial for trial in point.trials if _measured(trial, name)]
                certain = certain_images(trials, [row for rows in measured for row in rows])
            images = summary.benchmark.test_images
            cells[name] = make_cell(top1, count, images, printed, certain)
    return cells


def _measured(trial: TrialResult, column: str) -> list[Measurement]:
    if attacked := [row for row in trial.of("attacks") if row.setting == column]:
        return attacked
    if column == CLEAN:
        return clean_rows(trial)
    return [row for row in corrupted_rows(trial) if column in (MEAN, row.setting)]


def is_comparison(summary: SweepSummary) -> bool:
    """Whether the sweep compares models by their accuracies, not by their corruption errors."""
    return summary.names == ("variant",) and summary.suite.reference_errors is None


def build_methods(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the tables of corruptions and of attacks; none unless methods are compared.

    A row of ours for each and, beside a model of the paper, its row and the difference. The paper's
    rows without a model of ours come last, as published only.
    """
    if not is_comparison(summary):
        return ()
    known, published = summary.benchmark.published, summary.published
    title, title_7 = f"Test accuracy on {summary.suite.title}", "Test accuracy under attack"
    note, six, seven, others, others_7 = "", table_6(summary), table_7(summary), {}, {}
    if known is not None:
        title = f"{known.title}: accuracy on {summary.suite.title}"
        if known.source != THE_PAPER:
            title = f"Accuracy on {summary.suite.title}, ours and that of {known.source}"
        title_7 = f"{known.adversarial_title}: accuracy under attack"
        if published.rows:
            others = _others(summary, top1_rows(known, summary.benchmark))
        if published.attacks:
            others_7 = _others(summary, adversarial_rows(known))
        reasons = [f"{model}: {why}" for model, why in known.not_trained.items() if model in others]
        note = f"Paper only: {'; '.join(reasons)}." if reasons else ""
    heads = {name: name.replace("_", " ") for name in (CLEAN, MEAN, *summary.suite.corruptions)}
    tables = [_table(summary, title, six, heads, others, note)]
    if seven:
        heads = {CLEAN: CLEAN} | attack_heads(summary.benchmark)
        tables.append(_table(summary, title_7, seven, heads, others_7, _images_note(summary)))
    return tuple(tables)


def _others(summary: SweepSummary, rows: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """Return the paper's rows, by model, that no model of ours is compared with."""
    shown = {row["model"] for row in summary.published.rows.values()}
    return {model: row for model, row in rows.items() if model not in shown}


def _table(
    summary: SweepSummary, title: str, cells: dict[str, dict[str, Cell]], columns: dict[str, str],
    others: Mapping[str, Mapping[str, Any]], note: str,
) -> Table:  # fmt: skip
    def row(name: str, kind: str, text: Callable[[Cell], str]) -> Row:
        # The name in each row: it stays in sight where a table is scrolled.
        texts = (text(cells[name][c]) if c in cells[name] else "" for c in columns)
        return Row((name, kind, *texts), rank=summary.ranks.get((name,), 0))

    rows, notes = [], [OURS]
    for name, found in cells.items():
        rows.append(row(name, "ours", lambda cell: cell.text))
        if any(cell.published for cell in found.values()):
            rows.append(row(name, "paper", lambda cell: cell.published))
            rows.append(row(name, "difference", lambda cell: cell.difference))
    if len(rows) > len(cells):
        pairs = [
            f"{point[0]} beside {published['model']}"
            for point, published in summary.published.rows.items()
            if str(point[0]) in cells and point[0] != published["model"]
        ]
        notes += _beside(summary, pairs)
    rows += [
        Row((model, "paper only", *(str(found.get(name, "")) for name in columns)), "paper only")
        for model, found in others.items()
    ]
    heads = words(CHECKPOINT if summary.has_checkpoints else "method", "")
    text = " ".join(filter(None, (*notes, note)))
    return Table(title, (*heads, *numbers(*columns.values())), tuple(rows), text, heads=2)


def _beside(summary: SweepSummary, pairs: Sequence[str]) -> list[str]:
    """Return what the published rows are, and which of ours with another name they stand beside."""
    known = summary.benchmark.published
    assert known is not None, "a figure stands beside ours"
    notes = [BESIDE.format(label=known.label, test_images=summary.benchmark.test_images)]
    return [*notes, f"Rows of {known.source}: {', '.join(pairs)}."] if pairs else notes


def _images_note(summary: SweepSummary) -> str:
    """Return that attacks were made on fewer images than the clean accuracy is of, if they were."""
    trials = [trial for point in summary.points for trial in point.trials if trial.of("attacks")]
    clean = _counts(row for trial in trials for row in clean_rows(trial))
    attacked = _counts(row for trial in trials for row in trial.of("attacks"))
    if clean == attacked:
        return ""
    return (
        f"Clean accuracy is on {clean} test images, the accuracy under attack on the "
        f"first {attacked} of them."
    )


def _counts(rows: Iterable[Measurement]) -> str:
    return " or ".join(f"{count:,}" for count in sorted({row.count for row in rows}))
