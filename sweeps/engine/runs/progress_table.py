"""The table of trials in a terminal, without the columns that do not fit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from gon_core.config import TrialConfig
from search_spaces.parameter import Point, value_text
from sweeps.engine.records import VALIDATION_METRIC

WAITING = "waiting"  # for a machine
STYLES = {
    WAITING: "dim", "running": "cyan", "evaluating": "cyan", "converged": "green",
    "max_epochs": "green", "pruned": "yellow", "diverged": "red", "failed": "bold red",
    "evaluated": "green", "reused": "green",
}  # fmt: skip
# Column heads that would be wider than their values in a joint search.
HEADS = {"generator_learning_rate": "gen. rate", "reset_interval": "reset", "kernel_size": "kernel"}
MIXED = "validation (mixed)"
LEAST_NEEDED = ("loss", "trial", "values", MIXED, "epoch", "seed")
"""What goes first where the terminal is narrow; "values" become the number of their point."""
BORDERS = 3  # columns of the terminal beside each cell
WIDEST_STATUS = 40


@dataclass
class Row:
    """A trial in the table.

    Attributes:
        config: of the trial.
        point: that it belongs to.
        number: of the point, from 1, in the order of the search.
        began: when its first process began, in seconds; None before.
        status: a key of ``STYLES``.
        metrics: of its last epoch.
        doing: how far its evaluation is.
        objective: of its final model, in percent.
    """

    config: TrialConfig
    point: Point
    number: int
    began: float | None = None
    status: str = WAITING
    metrics: dict[str, float] = field(default_factory=dict)
    doing: str = ""
    objective: float | None = None


def build_table(rows: Sequence[Row], parameters: Sequence[str], title: str, width: int) -> Table:
    """Return the table of trials for a terminal of so many columns.

    Args:
        rows: from top to bottom.
        parameters: names of what is searched.
        title: above it.
        width: of the terminal.
    """
    heads = [HEADS.get(name, name) for name in parameters]
    columns = {"trial": ["trial"], **{head: [head] for head in heads}, "point": ["point"]}
    columns |= {name: [name] for name in ("seed", "epoch", "loss", MIXED, "objective", "status")}
    for row in rows:
        values = [*map(value_text, row.point)]
        values += [""] * (len(heads) - len(values))  # of a baseline
        for head, value in zip(heads, values, strict=True):
            columns[head].append(value)
        for head, text in _cells(row).items():
            columns[head].append(text)
    shown = _fitting(columns, heads, width)
    table = Table(title=title, title_justify="left")
    for head in shown:
        side = "left" if head in ("trial", "status") else "right"
        table.add_column(head, justify=side, no_wrap=True, overflow="ellipsis")
    for index, row in enumerate(rows, 1):
        style = STYLES.get(row.status, "")
        cells = [columns[head][index] for head in shown]
        table.add_row(
            *(Text(c, style) if h == "status" else c for h, c in zip(shown, cells, strict=True))
        )
    return table


def _cells(row: Row) -> dict[str, str]:
    metrics = row.metrics
    epoch = f"{metrics['epoch']:.0f}/{row.config.training.max_epochs}" if metrics else "-"
    return {
        "trial": row.config.trial_id,
        "point": f"#{row.number}" if row.number else str(row.point[0]),
        "seed": str(row.config.seed),
        "epoch": epoch,
        "loss": f"{metrics['train_loss']:.4f}" if metrics else "-",
        MIXED: f"{metrics[VALIDATION_METRIC]:.1f} %" if metrics else "-",
        "objective": "-" if row.objective is None else f"{row.objective:.1f} %",
        "status": f"{row.status} {row.doing}".rstrip()[:WIDEST_STATUS],
    }


def _fitting(columns: dict[str, list[str]], heads: Sequence[str], width: int) -> list[str]:
    """Return the columns that fit, or the fewest."""
    shown = [head for head in columns if head != "point"]
    for name in LEAST_NEEDED:
        needed = 1 + sum(max(map(len, columns[head])) + BORDERS for head in shown)
        if needed <= width:
            break
        if name != "values":
            shown.remove(name)
        elif len(heads) > 1:
            first = shown.index(heads[0])
            shown[first : first + len(heads)] = ["point"]
    return shown
