"""What the paper published on the same question, to stand beside our own trials."""

from dataclasses import dataclass, field
from typing import Any

from gon_core import paper


@dataclass(frozen=True)
class Published:
    """The paper's figures, in percent.

    Attributes:
        figure: name of the table of the curve, or None.
        curve: mean accuracy over corruptions, by value of the parameter.
        rows: by value, a row of the paper's table: the model's name under ``model``, the accuracies
            under ``clean``, ``mean`` and each corruption.
    """

    figure: str | None = None
    curve: dict[float, float] = field(default_factory=dict)
    rows: dict[float, dict[str, Any]] = field(default_factory=dict)


def read_published(source: dict[str, Any] | None) -> Published:
    """Return the published curve and rows that sweep.json names; nothing if it names none.

    Raises:
        ValueError: it names a table or a model that was not published.
    """
    if source is None:
        return Published()
    rows = {float(row["value"]): _row(row["table"], row["model"]) for row in source.get("rows", [])}
    curve = source.get("curve")
    if curve is None:
        return Published(rows=rows)
    table = paper.load(curve["table"])
    x, y = table[curve["x"]].to_pylist(), table[curve["y"]].to_pylist()
    points = {float(value): float(accuracy) for value, accuracy in zip(x, y, strict=True)}
    return Published(curve["table"], dict(sorted(points.items())), rows)


def _row(table: str, model: str) -> dict[str, Any]:
    rows = paper.load(table).to_pylist()
    for row in rows:
        if row["model"] == model:
            return row
    names = ", ".join(row["model"] for row in rows)
    raise ValueError(f"model must be one of {names} in table {table}, got {model!r}")
