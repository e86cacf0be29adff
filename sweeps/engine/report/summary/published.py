"""What the paper published for the same search, to compare with our own trials."""

from dataclasses import dataclass, field
from typing import Any

from gon_core import paper
from gon_core.benchmarks import Published
from gon_core.measurement import CLEAN
from search_spaces.parameter import Point


@dataclass(frozen=True)
class PublishedValues:
    """The paper's figures, in percent.

    Attributes:
        figure: name of the table of the curve, or None.
        curve: mean accuracy over corruptions, by point.
        rows: by point, a row of the paper's table: the model's name under ``model``, the accuracies
            under ``clean``, ``mean`` and each corruption.
        depths: rows of the paper's Table 11, of another data set; see ``table_11``.
        attacks: by point, the accuracy ``clean`` and by name of the attack.
    """

    figure: str | None = None
    curve: dict[Point, float] = field(default_factory=dict)
    rows: dict[Point, dict[str, Any]] = field(default_factory=dict)
    depths: tuple[dict[str, Any], ...] = ()
    attacks: dict[Point, dict[str, float]] = field(default_factory=dict)

    @property
    def means(self) -> dict[Point, float]:
        """Mean accuracy over corruptions by point: of the curve, else of the rows."""
        rows = {point: float(row["mean"]) for point, row in self.rows.items() if "mean" in row}
        return self.curve or rows


def read_published(source: dict[str, Any] | None, known: Published | None) -> PublishedValues:
    """Return the published curve and rows that sweep.json names; nothing if it names none.

    Args:
        source: where sweep.json says that they stand.
        known: what is published of the benchmark.

    Raises:
        ValueError: it names a table or a model that was not published.
    """
    if source is None:
        return PublishedValues()
    rows = {tuple(row["point"]): _row(row["table"], row["model"]) for row in source.get("rows", [])}
    depths = tuple(paper.load(source["table_11"]).to_pylist()) if source.get("table_11") else ()
    curve = source.get("curve")
    if curve is None:
        attacked = adversarial_rows(known) if known and source.get("table_7") else {}
        attacks = {p: attacked[row["model"]] for p, row in rows.items() if row["model"] in attacked}
        return PublishedValues(rows=rows, depths=depths, attacks=attacks)
    table = paper.load(curve["table"])
    x, y = table[curve["x"]].to_pylist(), table[curve["y"]].to_pylist()
    points = sorted(
        ((float(value),), float(accuracy)) for value, accuracy in zip(x, y, strict=True)
    )
    return PublishedValues(curve["table"], dict(points), rows, depths)


def adversarial_rows(known: Published) -> dict[str, dict[str, float]]:
    """Return the accuracies ``clean`` and under each attack, by model as ``known.top1`` has it."""
    columns = {CLEAN: CLEAN, **known.attacks}
    return {
        known.rows.get(row["model"], row["model"]): {
            name: float(row[column]) for name, column in columns.items()
        }
        for row in paper.load(known.adversarial).to_pylist()
    }


def _row(table: str, model: str) -> dict[str, Any]:
    rows = paper.load(table).to_pylist()
    for row in rows:
        if row["model"] == model:
            return row
    names = ", ".join(row["model"] for row in rows)
    raise ValueError(f"model must be one of {names} in table {table}, got {model!r}")
