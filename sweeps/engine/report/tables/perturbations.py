"""epsilon* under each kind of noise, and accuracy under attack, as numbers: what the figure draws.

Where methods are compared their accuracy under attack is in Table 7, and not repeated here.
"""

from collections.abc import Callable, Iterable

from sweeps.engine.report import sentences
from sweeps.engine.report.figures.accuracy_marks import clip
from sweeps.engine.report.figures.perturbations import (
    attack_accuracy_of,
    attack_name,
    attacks_of,
    noises_of,
    perturbation_title,
    size_of,
)
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.tables.methods import is_comparison
from sweeps.engine.report.tables.table import Row, Table, numbers, words

SIZES = (
    "epsilon*: the l2 size, on images in [0, 1], at which noise makes half of the test images "
    "misclassified; never: no size does."
)
UNCONVERGED = "*: a noise generator had not converged."
ATTACKS = "Under attack: accuracy in percent."
INTERVALS = (
    "In brackets 95 % intervals: Student t over seeds; of one seed that of the median, or binomial "
    "over test images."
)
TextOf = Callable[[PointSummary], str]


def build_perturbations(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table, a row for each point; none where nothing was measured."""
    columns = _columns(summary)
    if not columns:
        return ()
    rows = tuple(
        Row(
            (sentences.row_name(summary, point), *(text(point) for text in columns.values())),
            rank=summary.ranks.get(point.point, 0),
        )
        for point in summary.compared
    )
    title = perturbation_title(summary.trials, attacks=not is_comparison(summary))
    heads = (*words(""), *numbers(*columns))
    return (Table(title, heads, rows, _note(columns, rows)),)


def _columns(summary: SweepSummary) -> dict[str, TextOf]:
    """Return the texts of each point by head."""
    columns: dict[str, TextOf] = {
        f"epsilon* {noise.replace('_', ' ')}": lambda p, noise=noise: _size_text(p, noise)
        for noise in noises_of(summary.compared)
    }
    if not is_comparison(summary):
        columns |= {
            attack_name(attack): lambda p, attack=attack: _attack_text(p, attack)
            for attack in attacks_of(summary.compared)
        }
    return columns


def _size_text(point: PointSummary, noise: str) -> str:
    size = size_of(point, noise)
    if size is None:
        return ""
    mark = "" if size.converged else "*"
    never = size.text.startswith("never")
    return (
        size.text
        + mark
        + ("" if never else f" {_ends(max(size.interval.low, 0.0), size.interval.high)}")
    )


def _attack_text(point: PointSummary, attack: tuple[str, str, float]) -> str:
    found = attack_accuracy_of(point, attack)
    return f"{found.mean:.1f} {_ends(*clip(found.interval))}" if found else ""


def _ends(low: float, high: float) -> str:
    return f"({low:.1f} to {high:.1f})".replace("inf", "never")


def _note(columns: Iterable[str], rows: Iterable[Row]) -> str:
    kinds = {head.startswith("epsilon*") for head in columns}
    has_sizes, has_attacks = True in kinds, False in kinds
    starred = any("*" in cell for row in rows for cell in row.cells)
    parts = (
        SIZES * has_sizes, UNCONVERGED * starred, ATTACKS * has_attacks, INTERVALS,
    )  # fmt: skip
    return " ".join(filter(None, parts))
