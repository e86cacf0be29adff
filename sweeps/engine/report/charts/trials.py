"""Charts of single trials: parallel coordinates, training curves, corruption by corruption."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from search_spaces.parameter import Choice, Parameter, value_text
from sweeps.engine.records import VALIDATION_METRIC, TrialResult
from sweeps.engine.report import sentences
from sweeps.engine.report.charts.chart import COLORS, DASHES, Chart, scatter
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import clean_rows, corrupted_rows

MOST_TRIALS = 500  # of parallel coordinates
MOST_CURVES = 150  # of trials: each has hundreds of numbers
MOST_EPOCHS = 200  # of each of them
MANY_NAMES = 12  # points of these curves: their legend needs room
MOST_ROWS = 60  # points of a map of corruptions
MOST_ABREAST = 12  # points of a map that stands beside another chart
NOT_A_CURVE = ("epoch", "seconds", "data_seconds", "validation_seconds")


def _best_trials(summary: SweepSummary, most: int) -> list[tuple[PointSummary, TrialResult]]:
    pairs = [(point, trial) for point in summary.by_rank for trial in point.trials]
    return [*pairs, *((p, trial) for p in summary.baselines for trial in p.trials)][:most]


def parallel_chart(summary: SweepSummary) -> Chart | None:
    """Return parallel coordinates: a line for each measured trial of the search."""
    pairs = [
        (point, trial)
        for point, trial in _best_trials(summary, MOST_TRIALS)
        if trial.objective is not None and not summary.is_baseline(point.point)
    ]
    if not pairs or summary.has_checkpoints:
        return None
    columns = [
        _dimension(parameter, [point.point[index] for point, _ in pairs])
        for index, parameter in enumerate(summary.parameters)
    ]
    seeds = sorted({trial.config.seed for _, trial in pairs})
    columns.append(
        {"label": "seed", "values": [trial.config.seed for _, trial in pairs], "tickvals": seeds}
    )
    corrupted = [_mean(corrupted_rows(trial)) for _, trial in pairs]
    columns += [
        {"label": "validation", "values": [trial.objective for _, trial in pairs]},
        {"label": "clean", "values": [_mean(clean_rows(trial)) for _, trial in pairs]},
        {"label": "corrupted", "values": corrupted},
    ]
    trace = {
        "type": "parcoords",
        "dimensions": columns,
        "line": {"color": corrupted, "colorscale": "Viridis", "showscale": True},
    }
    note = (
        "Each line is a trial; accuracies in percent (validation under corruption; clean and "
        "corrupted of test images), which are also the colour. Drag along an axis to select."
    )
    layout = {"margin": {"l": 60, "r": 40, "t": 70, "b": 30}}
    return Chart("parallel", "Every trial: parallel coordinates", note, [trace], layout, True)


def _dimension(parameter: Parameter, values: Sequence[Any]) -> dict[str, Any]:
    if not isinstance(parameter, Choice):
        return {"label": parameter.name, "values": list(values)}
    listed = list(dict.fromkeys((*parameter.values, *values)))
    return {
        "label": parameter.name,
        "values": [listed.index(value) for value in values],
        "tickvals": list(range(len(listed))),
        "ticktext": list(map(value_text, listed)),
    }


def _mean(rows: Sequence[Any]) -> float:
    return statistics.fmean(row.value for row in rows) if rows else math.nan


def curves_chart(summary: SweepSummary) -> Chart | None:
    """Return the metrics of every epoch of every trial; a menu chooses the metric."""
    pairs = [pair for pair in _best_trials(summary, MOST_CURVES) if pair[1].history]
    found = dict.fromkeys(name for _, trial in pairs for entry in trial.history for name in entry)
    names = [name for name in found if name not in NOT_A_CURVE]
    names.sort(key=lambda name: (name != VALIDATION_METRIC, name != "train_loss"))
    if not names:
        return None
    points = list(dict.fromkeys(point.point for point, _ in pairs))
    numbers = {point: number for number, point in enumerate(points)}
    histories = [_fewer(trial.history) for _, trial in pairs]
    traces, shown = [], set()
    for (point, trial), history in zip(pairs, histories, strict=True):
        number = numbers[point.point]
        # Neighbours differ in both; once the colours are used up, the dashes move on by one.
        color = COLORS[number % len(COLORS)]
        dash = DASHES[(number + number // len(COLORS)) % len(DASHES)]
        name = sentences.row_name(summary, point)
        hover = f"{name}, seed {trial.config.seed}<br>epoch %{{x}}: %{{y}}<extra></extra>"
        trace = scatter(
            [entry["epoch"] for entry in history], [], name, color=color,
            mode="lines" if len(history) > 2 else "lines+markers", legendgroup=name,
            showlegend=name not in shown, hovertemplate=hover,
            line={"color": color, "width": 1.5, "dash": dash},
        )  # fmt: skip
        traces.append(trace)
        shown.add(name)
    most = max(len(trial.history) for _, trial in pairs)
    layout: dict[str, Any] = {"xaxis": {"title": {"text": "epoch"}}}
    if most <= 20:
        layout["xaxis"]["dtick"] = 1
    if len(points) > MANY_NAMES:
        layout["height"] = 600
    choices = {
        name.replace("_", " "): [[entry.get(name) for entry in history] for history in histories]
        for name in names
    }
    notes = []
    if most > MOST_EPOCHS:
        notes.append(f"At most {MOST_EPOCHS} epochs of a trial are drawn, evenly spaced.")
    if hidden := len(summary.trials) - len(pairs):
        notes.append(f"{hidden:,} trials are not shown.")
    return Chart(
        "curves", "Training curves", " ".join(notes), traces, layout,
        is_wide=summary.search != "line", choices=choices,
    )  # fmt: skip


def _fewer(history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Return at most ``MOST_EPOCHS`` epochs, evenly spaced, with the first and the last."""
    if len(history) <= MOST_EPOCHS:
        return list(history)
    step = (len(history) - 1) / (MOST_EPOCHS - 1)
    return [history[round(step * index)] for index in range(MOST_EPOCHS)]


def corruptions_chart(summary: SweepSummary) -> Chart | None:
    """Return a map of the test accuracy of each point under each corruption."""
    points = [point for point in summary.compared if point.corruptions]
    if not points or len(points) > MOST_ROWS:
        return None
    names = [name for name in summary.suite.corruptions if name in points[0].corruptions]
    rows = [sentences.row_name(summary, point) for point in points]
    values = [[point.corruptions.get(name) for name in names] for point in points]
    trace = {
        "type": "heatmap", "x": [name.replace("_", " ") for name in names], "y": rows,
        "z": values, "colorscale": "Cividis", "texttemplate": "%{z:.0f}",
        "hovertemplate": "%{y}<br>%{x}: %{z:.1f} %<extra></extra>",
        "colorbar": {"title": {"text": "%"}},
    }  # fmt: skip
    layout = {
        "height": 180 + 26 * len(rows),
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "xaxis": {"automargin": True},
    }
    title, note = "Test accuracy on each corruption", "In percent, mean over seeds."
    is_wide = summary.search != "line" or len(rows) > MOST_ABREAST
    return Chart("corruptions_map", title, note, [trace], layout, is_wide)
