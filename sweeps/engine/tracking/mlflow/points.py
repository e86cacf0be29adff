"""The points that MLflow shows: metrics of epochs and of final models, and their time of day."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from gon_core.benchmarks import CorruptionSuite
from gon_core.config import Given, TrialConfig
from gon_core.measurement import CLEAN, TOP1, Measurement
from sweeps.engine.records import VALIDATION_METRIC, SweepDescription, TrialResult

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from sweeps.engine.trials.machine_load import Sample

OBJECTIVE = "accuracy/objective"  # MLflow lists metrics by name, and this one is to be the first
CLEAN_METRIC = "clean/top1"


class Epoch(NamedTuple):
    """The metrics of one epoch, and when they were there, in ms since 1970.

    A point that is sent twice is one point to MLflow if its time is the same.
    """

    metrics: Mapping[str, float]
    time: int

    @property
    def number(self) -> int:
        """The epoch, from 1."""
        return int(self.metrics["epoch"])


def dated(history: Sequence[Mapping[str, float]], ended: int) -> list[Epoch]:
    """Return recorded epochs with their times, counted back from the end of the last one."""
    epochs, time = [], float(ended)
    for metrics in reversed(history):
        epochs.append(Epoch(metrics, round(time)))
        time -= 1000 * (metrics.get("seconds", 0.0) + metrics.get("validation_seconds", 0.0))
    return epochs[::-1]


def end_of(result: TrialResult) -> int:
    """Return when a trial ended, in ms since 1970; now if that is not recorded."""
    ended = datetime.fromisoformat(result.ended) if result.ended else datetime.now(UTC)
    return round(1000 * ended.timestamp())


def of_result(result: TrialResult) -> list[Epoch]:
    """Return the epochs of a trial that ended with their times."""
    evaluation = round(1000 * result.seconds.get("evaluation", 0.0))
    return dated(result.history, end_of(result) - evaluation)


def loggable(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics but the epoch, which is the step, and infinity, stored as 1.8e308."""
    finite = {key: value for key, value in metrics.items() if not math.isinf(value)}
    finite.pop("epoch", None)
    return finite


def same(one: float | None, other: float) -> bool:
    """Whether two values are the same, NaN included."""
    return one == other or (one is not None and math.isnan(one) and math.isnan(other))


def final_metrics(result: TrialResult) -> dict[str, float]:
    """Return what was measured of a trial's final model by MLflow name, in the measures' units."""
    left_out = result.config.evaluation.left_out
    suite = result.config.data.benchmark.without(left_out).suites["test"]
    metrics: dict[str, float] = {}
    if result.objective is not None:
        metrics[OBJECTIVE] = result.objective
    for split in dict.fromkeys(row.split for row in result.of(TOP1)):
        prefix = "" if split == "test" else f"{split}/"
        accuracies = _accuracies(result.of(TOP1, split), suite)
        metrics |= {prefix + name: value for name, value in accuracies.items()}
    for row in result.measurements:
        if row.measure != TOP1:
            metrics |= _metrics(row)
    if suite.reference_errors is not None and result.of(TOP1):
        from gon_core.evaluation import corruption_error  # slow: it loads torch

        errors = corruption_error.errors_over_severities(result.measurements, "test")
        relative = corruption_error.corruption_errors(errors, left_out)
        metrics |= {f"{suite.name}/corruption_error/{key}": ce for key, ce in relative.items()}
        if not left_out:
            metrics[f"{suite.name}/mce"] = fmean(relative.values())
    return metrics | {f"seconds/{part}": seconds for part, seconds in result.seconds.items()}


def corrupted_mean(suite: CorruptionSuite) -> str:
    """Return what the mean accuracy over the corruptions of the test images is called."""
    return f"{suite.name}/mean"


def _accuracies(rows: Sequence[Measurement], suite: CorruptionSuite) -> dict[str, float]:
    """Return the accuracies on one split, by corruption (over its severities) and their means."""
    corrupted = [row for row in rows if row.setting != CLEAN]
    groups: dict[str, list[Measurement]] = defaultdict(list)
    for row in corrupted:
        groups[row.setting].append(row)
    groups["mean"] = corrupted
    if any(name in groups for name in suite.noises):
        quiet = [row for row in corrupted if row.setting not in suite.noises]
        groups["mean_without_noise"] = quiet
    if len(severities := sorted({row.severity or 0 for row in corrupted})) > 1:
        for severity in severities:
            groups[f"severity_{severity}"] = [row for row in corrupted if row.severity == severity]
    metrics = {
        f"{suite.name}/{name}": fmean(row.value for row in group)
        for name, group in groups.items()
        if group
    }
    top5s = [row.number("top5") for row in corrupted]
    if corrupted and None not in top5s:
        metrics[f"{suite.name}/mean_top5"] = fmean(top5 or 0.0 for top5 in top5s)
    for row in rows:
        if row.setting == CLEAN:
            metrics[CLEAN_METRIC] = row.value
            if (top5 := row.number("top5")) is not None:
                metrics["clean/top5"] = top5
    return metrics


def _metrics(row: Measurement) -> dict[str, float]:
    from gon_core.evaluation import measure  # slow: it loads torch

    kind = measure.get(row.measure)
    figures = {f"{row.measure}_{key}": number for key, number in kind.figures(row).items()}
    return {
        f"{key}/{kind.name(row)}": value
        for key, value in ({row.measure: row.value} | figures).items()
    }


def parameters_of(config: TrialConfig) -> dict[str, str]:
    """Return the parameters of a trial's run."""
    parameters = config.method.model_dump()
    if not isinstance(config.method, Given):  # which was trained by others
        parameters |= config.training.model_dump()
    parameters |= {
        "variant": config.method.variant, "seed": config.seed, "dataset": config.data.dataset,
    }  # fmt: skip
    return {name: str(value) for name, value in parameters.items()}


def to_points(metrics: Mapping[str, float], time: int, step: int) -> "list[Metric]":
    """Return the points of metrics at a step, at a time in ms since 1970."""
    from mlflow.entities import Metric

    return [Metric(name, value, time, step) for name, value in loggable(metrics).items()]


def of_sample(sample: "Sample", description: SweepDescription) -> "list[Metric]":
    """Return the points of a sample, where the UI expects its kind.

    The step is the number of seconds since the sweep was made: a trial that is resumed, by
    another process, continues it.
    """
    step = round(sample.time / 1000 - datetime.fromisoformat(description.created).timestamp())
    figures = {f"system/{name}": value for name, value in sample.figures.items()}
    return to_points(figures, sample.time, step)


def of_epoch(epoch: Epoch) -> "list[Metric]":
    """Return the points of an epoch, with the epoch as step.

    MLflow splits long lists into requests: where ``VALIDATION_METRIC`` is, all of the epoch is.
    """
    found = to_points(epoch.metrics, epoch.time, epoch.number)
    return sorted(found, key=lambda point: point.key == VALIDATION_METRIC)
