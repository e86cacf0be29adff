"""Training loss and accuracy of each epsilon of 3x3 kernels beside those of ANT 1x1."""

import math

from gon_core.intervals import Interval
from search_spaces.parameter import value_text
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.training_match import KINDS, Training, match_training
from sweeps.engine.report.tables.table import Row, Table, numbers, words

DECIMALS = {"train_loss": 3, "train_accuracy": 1}
NOTE = (
    "Loss (nats) and accuracy (percent) on training images with their noise, in the last epoch: "
    "mean over seeds, ± half of its 95 % t interval (none of one seed). Difference: minus ANT 1x1, "
    "with the 95 % interval over pairs of equal seeds. Appendix B chooses the epsilon of 3x3 "
    "kernels so that both are similar."
)


def build_training_match(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the table, a row for each epsilon and one for ANT 1x1; none without that baseline."""
    found = match_training(summary)
    if found is None:
        return ()
    nearest = {kind: found.nearest(kind) for kind in KINDS}
    rows = [
        Row(_cells(value_text(each.point.point[0]), each), _mark(each, nearest))
        for each in found.points
    ]
    rows.append(Row(_cells(str(found.reference.point.point[0]), found.reference), "baseline"))
    heads = [head for name in KINDS.values() for head in (name, "±", "difference", "95 % interval")]
    columns = (*words("epsilon"), *numbers(*heads, "seeds"))
    return (Table("Training beside that of ANT 1x1", columns, tuple(rows), NOTE),)


def _mark(each: Training, nearest: dict[str, Training]) -> str:
    return "best" if all(each is other for other in nearest.values()) else ""


def _cells(name: str, each: Training) -> tuple[str, ...]:
    cells = [name]
    for kind in KINDS:
        cells += _texts(each.values[kind], each.differences.get(kind), DECIMALS[kind])
    return (*cells, str(len([trial for trial in each.point.trials if trial.is_measured])))


def _texts(value: Interval, difference: Interval | None, decimals: int) -> list[str]:
    def text(number: float, sign: str = "") -> str:
        return "" if math.isnan(number) else f"{number:{sign}.{decimals}f}"

    found = [text(value.estimate), text((value.high - value.low) / 2)]
    if difference is None:
        return [*found, "", ""]
    ends = [text(end, "+") for end in (difference.low, difference.high)]
    return [*found, text(difference.estimate, "+"), " to ".join(ends) if all(ends) else ""]
