"""The published tables as CSV, and one loader, so that every report can stand beside them.

All are from the paper and its appendix, but for ``cifar10_c_top1`` and ``imagenet100_c_top1``:
accuracies of PreActResNet-18 under each corruption, from the repository of Kireev et al.
(tml-epfl/adv-training-corruptions), and the clean ones on CIFAR-10 that RobustBench lists. The
``official_...`` are the result files in the repository of the paper's authors.
"""

from importlib import resources
from typing import Any

import pyarrow as pa
from pyarrow import csv

TABLES = tuple(
    sorted(
        entry.name.removesuffix(".csv")
        for entry in resources.files("gon_core.paper").iterdir()
        if entry.name.endswith(".csv")
    )
)


def load(table: str) -> pa.Table:
    """Return a published table.

    Args:
        table: a name in ``TABLES``, for example ``"mnist_c_vs_sigma"`` (Fig. 2) or
            ``"mnist_c_top1"`` (Table 6).

    Returns:
        One row per line of the published table. Accuracies and errors are in percent, except
        ``alexnet_imagenet_c_error`` (fractions of 1); sigma is in [0, 1] pixel units.

    Raises:
        ValueError: there is no such table.
    """
    if table not in TABLES:
        raise ValueError(f"table must be one of {', '.join(TABLES)}, got {table!r}")
    with resources.files("gon_core.paper").joinpath(f"{table}.csv").open("rb") as file:
        return csv.read_csv(file)


def models(table: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a published table by model, without columns that are empty.

    Raises:
        ValueError: there is no such table.
    """
    return {
        row["model"]: {name: value for name, value in row.items() if value is not None}
        for row in load(table).to_pylist()
    }


def row(table: str, model: str) -> dict[str, Any]:
    """Return the row of a model in a published table, by column; without columns that are empty.

    Raises:
        ValueError: there is no such table, or no such model in it.
    """
    rows = models(table)
    if model not in rows:
        raise ValueError(f"model must be one of {', '.join(rows)} in table {table}, got {model!r}")
    return rows[model]
