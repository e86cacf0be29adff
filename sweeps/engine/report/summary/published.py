"""What was published for the same search, to compare with our own trials."""

import statistics
from dataclasses import dataclass
from typing import Any

from gon_core import architectures, paper
from gon_core.benchmarks import Benchmark, Published
from gon_core.config import Given, TrialConfig
from gon_core.measurement import CLEAN
from gon_core.paper.imagenet import COLUMNS, MODELS, PRINTED, trained_by
from search_spaces.parameter import Point


@dataclass(frozen=True)
class PublishedValues:
    """Published figures, in percent.

    Attributes:
        figure: name of the table of the curve, or None.
        curve: mean accuracy over corruptions, by point.
        rows: by point, a row of the published table: the model's name under ``model``, accuracies
            under ``clean``, ``mean`` and each corruption.
        depths: rows of the paper's Table 11, of another data set; see ``table_11``.
        attacks: by point, the accuracy ``clean`` and by name of the attack.
    """

    figure: str | None
    curve: dict[Point, float]
    rows: dict[Point, dict[str, Any]]
    depths: tuple[dict[str, Any], ...]
    attacks: dict[Point, dict[str, float]]

    @property
    def means(self) -> dict[Point, float]:
        """Mean accuracy over corruptions by point: of the curve, else of the rows."""
        rows = self.rows.items()
        return self.curve or {point: float(row["mean"]) for point, row in rows if "mean" in row}


def read_published(source: dict[str, Any], benchmark: Benchmark) -> PublishedValues:
    """Return the curve, rows, accuracies under attack or Table 11 that sweep.json names.

    Raises:
        ValueError: it names a table or a model that was not published.
    """
    figure = None
    curve: dict[Point, float] = {}
    if named := source.get("curve"):
        figure = named["table"]
        columns = paper.load(figure).to_pydict()
        pairs = zip(columns[named["x"]], columns[named["y"]], strict=True)
        curve = {(float(x),): float(y) for x, y in sorted(pairs)}
    rows = {
        tuple(row["point"]): _comparable(paper.row(row["table"], row["model"]), benchmark)
        for row in source.get("rows", [])
    }
    known = benchmark.published
    attacked = adversarial_rows(known) if known and source.get("table_7") else {}
    return PublishedValues(
        figure=figure,
        curve=curve,
        rows=rows,
        depths=tuple(paper.load(table).to_pylist()) if (table := source.get("table_11")) else (),
        attacks={p: attacked[row["model"]] for p, row in rows.items() if row["model"] in attacked},
    )


def top1_rows(known: Published, benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """Return the accuracies under corruptions by model, see ``PublishedValues.rows``."""
    rows = paper.models(known.top1)
    return {model: _comparable(row, benchmark) for model, row in rows.items()}


def _comparable(row: dict[str, Any], benchmark: Benchmark) -> dict[str, Any]:
    """Return a row, by our names, whose mean is over the corruptions that are made here.

    Where some are not made, and the row lists none of them apart, it has no mean.
    """
    suite = benchmark.suites["test"]
    row = {COLUMNS.get(name, name): value for name, value in row.items()}
    if not suite.left_out:
        return row
    whole = row.pop("mean", None)
    made = [row[name] for name in suite.corruptions if name in row]
    is_known = whole is not None and len(made) == len(suite.corruptions)
    return row | ({"mean": round(statistics.fmean(made), 1)} if is_known else {})


def adversarial_rows(known: Published) -> dict[str, dict[str, float]]:
    """Return the accuracies ``clean`` and under each attack, by model as ``known.top1`` has it."""
    if known.adversarial is None:
        return {}
    columns = {CLEAN: CLEAN, **known.attacks}
    return {
        known.rows.get(row["model"], row["model"]): {
            name: float(row[column]) for name, column in columns.items()
        }
        for row in paper.load(known.adversarial).to_pylist()
    }


def paper_model(trial: TrialConfig) -> str | None:
    """Return the model of the paper's tables on ImageNet that a trial's stands beside, or None.

    A given one by its name and architecture; a trained one by the fields of its method that make
    it this model: what else of its training is reduced is said beside it.
    """
    method, benchmark = trial.method, trial.data.benchmark
    if isinstance(method, Given):
        names = {method.name, *_renamed(method.name)}
        found = (n for n in MODELS if n in names and MODELS[n].architecture == method.architecture)
        return next(found, None)
    architecture = trial.model or benchmark.model
    is_its_size = benchmark.image_shape == architectures.describe(architecture).image_shape
    return trained_by(method, architecture) if is_its_size else None


def _renamed(row: str) -> set[str]:
    """Return the names of the models that tables call ``row``."""
    return {table.rows[row] for table in PRINTED.values() if row in table.rows}
