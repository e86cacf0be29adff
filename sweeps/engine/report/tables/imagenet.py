"""The paper's tables on ImageNet: our models beside its figures and the official ones."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gon_core import architectures, intervals
from gon_core.benchmarks.imagenet import IMAGENET
from gon_core.measurement import TOP1, Measurement
from gon_core.paper.imagenet import MODELS, PRINTED, PrintedTable, official
from sweeps.engine.records import TrialResult
from sweeps.engine.report.sentences import row_name
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import certain_images
from sweeps.engine.report.summary.imagenet_columns import Reading, read
from sweeps.engine.report.summary.perturbations import mean_size
from sweeps.engine.report.summary.published import paper_model
from sweeps.engine.report.tables.methods import OURS, OUTSIDE, Cell, Z, make_cell
from sweeps.engine.report.tables.table import Row, Table, numbers, words

EVALUATE = "python sweeps/evaluate_checkpoint.py --imagenet FOLDER"
TRAIN = "python sweeps/{script}.py --dataset imagenet --data-dir FOLDER --scale paper"
NOT_KNOWN = {  # no source gives these numbers
    "uat": ("--uat-step-size", "X"),
    "ford": ("--ford-recipe", "RATE", "BATCH", "EPOCHS"),
}
KINDS = ("ours", "paper", "official", "difference")
BESIDE = (
    "Paper: as printed. Official: the authors' result files, means over their corruptions. "
    "Difference: ours - official, or - paper where there is none, with "
    f"{OUTSIDE} where that figure, whatever its rounding, is outside our 95 % interval: over "
    "seeds, and over which of the {images:,} test images were measured."
)
PAPER_ALONE = (
    "Paper: as printed. Difference: ours - paper, with "
    f"{OUTSIDE} where the paper's figure, whatever its rounding, is outside our 95 % interval: "
    "{of}."
)
OVER = {
    "attacks": "over seeds, and over which of the {images:,} test images were measured",
    "epsilon_star": "over seeds, or of the median of one seed",
}
SIZES = (
    "Size: l2 norm on [0, 1] pixels; our mean ± its standard error over seeds (marked *: one seed, "
    "the error is over test images). never: half of the images withstand any size."
)
PRINTED_CLEAN = (
    "The paper prints lower clean accuracies here (75.2 of its vanilla model) than in its other "
    "tables (76.1), and does not say why."
)
ERRORS = "Columns of corruptions, and mCE: top-1 error relative to AlexNet's, in percent."
INCOMPLETE = "Means are empty: {names} could not be made."
DEPTHS = {f"ant_1x1_ng{depth}" for depth in (1, 2, 3, 5)}
NOT_FILLED = "no weights are published, and its training is not described"


def build_imagenet_tables(summary: SweepSummary) -> tuple[Table, ...]:
    """Return the tables of which a row is of one of our models; none on other images."""
    if summary.suite.reference_errors is None:
        return ()
    ours: dict[str, list[PointSummary]] = {}
    for point in summary.compared:
        if (model := paper_model(point.trials[0].config)) is not None:
            ours.setdefault(model, []).append(point)
    return tuple(
        _table(summary, table, ours)
        for table in PRINTED.values()
        if any(
            trial.of(table.measure)
            for model in table.rows.values()
            for point in ours.get(model, ())
            for trial in point.trials
        )
    )


def listed_names() -> str:
    """Return the names of the tables, in words."""
    *before, last = PRINTED
    return f"{', '.join(before)} or {last}"


def _table(
    summary: SweepSummary, table: PrintedTable, ours: Mapping[str, Sequence[PointSummary]]
) -> Table:
    rows, images = [], summary.benchmark.test_images
    for model, printed in table.figures().items():
        beside = official(model, table)
        for point in ours.get(model, ()):
            cells = {
                name: cell
                for name in table.columns
                if (cell := _cell(point.trials, name, table, images, printed, beside)) is not None
            }
            name = row_name(summary, point)
            texts = {
                "ours": {key: cell.text for key, cell in cells.items()},
                "paper": printed,
                "official": beside,
                "difference": {key: cell.difference for key, cell in cells.items()},
            }
            for kind in KINDS:
                if any(texts[kind].values()):
                    line = (texts[kind].get(column, "") for column in table.columns)
                    rows.append(Row((name, kind, *line), rank=summary.ranks.get(point.point, 0)))
    notes = _notes(table, images)
    if summary.suite.left_out and not table.is_of_main_paper:
        notes.append(INCOMPLETE.format(names=", ".join(summary.suite.left_out)))
    pairs = [
        f"{text} beside {model}"
        for model, points in ours.items()
        for point in points
        if model in table.rows.values() and (text := row_name(summary, point)) != model
    ]
    notes += [f"Rows: {', '.join(pairs)}."] if pairs else []
    absent = [row for row in _published(table) if row.cells[0] not in ours]
    return _layout(table, [*rows, *absent], notes)


def _notes(table: PrintedTable, images: int) -> list[str]:
    if not table.is_of_main_paper:
        return [OURS, BESIDE.format(images=images)] + [ERRORS] * table.is_of_errors
    beside = PAPER_ALONE.format(of=OVER[table.measure].format(images=images))
    return [SIZES, beside] if table.measure == "epsilon_star" else [OURS, beside, PRINTED_CLEAN]


def _cell(
    trials: Sequence[TrialResult], column: str, table: PrintedTable, images: int,
    printed: Mapping[str, str], beside: Mapping[str, str],
) -> Cell | None:  # fmt: skip
    of_trial = {t.trial_id: r for t in trials if (r := read(t, column, table))}
    if not of_trial:
        return None
    readings = list(of_trial.values())
    count = min(row.count for reading in readings for row in reading.rows)
    figure = beside.get(column, printed.get(column, ""))
    if table.measure == "epsilon_star":
        return _size_cell([row for reading in readings for row in reading.rows], figure)
    certain = None
    if column in ("mean", "mCE"):
        measured = [trial for trial in trials if trial.trial_id in of_trial]
        certain = certain_images(measured, [row for each in readings for row in each.rows])
    cell = make_cell([each.accuracy for each in readings], count, images, figure, certain)
    return cell if readings[0].reference is None else _relative(cell, readings[0])


def _size_cell(rows: Sequence[Measurement], figure: str) -> Cell:
    """Return the cell of epsilon* over seeds; infinite if it is of any of them."""
    found = mean_size(rows)
    error = (found.high - found.low) / (2 * Z)
    if len(rows) > 1 and math.isfinite(found.estimate):
        error = intervals.standard_error([row.value for row in rows])
    return Cell(found.estimate, error, found, len(rows), figure)


def _relative(cell: Cell, reading: Reading) -> Cell:
    """Return the cell of the error, relative to AlexNet's, instead of the accuracy."""
    mean, low, high = map(reading.shown, cell.interval)
    error = abs(reading.shown(cell.ours + cell.error) - reading.shown(cell.ours))
    interval = intervals.Interval(mean, high, low)
    return replace(cell, ours=reading.shown(cell.ours), error=error, interval=interval)


def _layout(table: PrintedTable, rows: Sequence[Row], notes: Sequence[str]) -> Table:
    heads = (name.replace("_", " ") for name in table.columns)
    columns = (*words("model", ""), *numbers(*heads))
    return Table(table.heading, columns, tuple(rows), " ".join(notes), heads=2)


def _published(table: PrintedTable) -> list[Row]:
    rows = []
    for model, printed in table.figures().items():
        for kind, figures in (("paper", printed), ("official", official(model, table))):
            if figures:
                line = (figures.get(column, "") for column in table.columns)
                rows.append(Row((model, f"{kind} only", *line), "paper only"))
    return rows


def published_tables(tables: Sequence[str]) -> Iterator[tuple[Table, list[str]]]:
    """Yield tables of the paper with no model of ours, and how each row could be filled.

    Args:
        tables: names in ``PRINTED``.
    """
    for name in tables:
        table = PRINTED[name]
        rows = [
            Row((model, kind.removesuffix(" only"), *line))
            for model, kind, *line in (row.cells for row in _published(table))
        ]
        ways = [f"{model}: {how_to_fill(model, table.measure)}" for model in table.figures()]
        notes = [ERRORS] * table.is_of_errors
        notes += [PRINTED_CLEAN] if table.measure == "attacks" else []
        yield _layout(table, rows, notes), ways


def how_to_fill(name: str, measure: str = TOP1) -> str:
    """Return the command, or the two, that measure a model of the paper.

    Args:
        name: in ``MODELS``.
        measure: what a row of the table is made of, see ``PrintedTable``.
    """
    model, ways = MODELS[name], []
    if model.weights:
        options = f"--architecture {model.architecture} --names {name} --checkpoints FILE"
        options += f" --evaluate {measure}" * (measure != TOP1)
        ways.append(f"{EVALUATE} {options}  # {model.weights}")
    if model.method and name != "vanilla_rn50":
        ways.append(_training(name))
    return "\n  ".join(["", *ways]) if ways else NOT_FILLED


def _training(name: str) -> str:
    model = MODELS[name]
    script, options, weights = "method_comparison", ["--method", model.method], "--weights FILE"
    if model.architecture in ("densenet121", "inception_v3"):
        script, weights = "backbones", f"--weights-of {model.architecture}=FILE"
        options = ["--models", model.architecture, *(options if model.method == "ford" else ())]
    elif name in DEPTHS:
        script, options = "generator_depth", []
    elif model.architecture != "resnet50":
        options += ["--model", model.architecture]
    if model.method not in IMAGENET.scales["paper"].random_starts:
        options = [weights, *options]
    if "sin" in model.method.split("_"):
        options += ["--stylized-dir", "FOLDER"]
    options += NOT_KNOWN.get(model.method, ())
    if (side := architectures.describe(model.architecture).image_shape[-1]) != 224:
        options += ["--image-size", str(side)]
    return " ".join([TRAIN.format(script=script), *options])
