"""What the paper published for the same search, to compare with our own trials."""

from dataclasses import dataclass, field
from typing import Any

from gon_core import paper
from search_spaces.parameter import Point


@dataclass(frozen=True)
class Published:
    """The paper's figures, in percent.

    Attributes:
        figure: name of the table of the curve, or None.
        curve: mean accuracy over corruptions, by point.
        rows: by point, a row of the paper's table: the model's name under ``model``, the accuracies
            under ``clean``, ``mean`` and each corruption.
        depths: rows of the paper's Table 11, of another data set; see ``table_11``.
        attacks: of Table 7, by point, the accuracy ``clean`` and by name of the attack.
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


def read_published(source: dict[str, Any] | None) -> Published:
    """Return the published curve and rows that sweep.json names; nothing if it names none.

    Raises:
        ValueError: it names a table or a model that was not published.
    """
    if source is None:
        return Published()
    rows = {tuple(row["point"]): _row(row["table"], row["model"]) for row in source.get("rows", [])}
    depths = tuple(paper.load(source["table_11"]).to_pylist()) if source.get("table_11") else ()
    curve = source.get("curve")
    if curve is None:
        attacks = _attacks(source["table_7"], rows) if source.get("table_7") else {}
        return Published(rows=rows, depths=depths, attacks=attacks)
    table = paper.load(curve["table"])
    x, y = table[curve["x"]].to_pylist(), table[curve["y"]].to_pylist()
    points = sorted(
        ((float(value),), float(accuracy)) for value, accuracy in zip(x, y, strict=True)
    )
    return Published(curve["table"], dict(points), rows, depths)


def table_7_rows(table: str = "mnist_adversarial") -> dict[str, dict[str, float]]:
    """Return the paper's Table 7: by model, as Table 6 calls it, ``clean`` and each attack."""
    columns = {"clean": "clean", "ddn": "l2_eps_1.5", "pgd": "linf_eps_0.1"}
    return {
        # Table 6 has the architecture in vanilla's name.
        "vanilla_madry" if row["model"] == "vanilla" else row["model"]: {
            name: float(row[column]) for name, column in columns.items()
        }
        for row in paper.load(table).to_pylist()
    }


def _attacks(table: str, rows: dict[Point, dict[str, Any]]) -> dict[Point, dict[str, float]]:
    found = table_7_rows(table)
    return {point: found[row["model"]] for point, row in rows.items() if row["model"] in found}


def _row(table: str, model: str) -> dict[str, Any]:
    rows = paper.load(table).to_pylist()
    for row in rows:
        if row["model"] == model:
            return row
    names = ", ".join(row["model"] for row in rows)
    raise ValueError(f"model must be one of {names} in table {table}, got {model!r}")
