"""The points that MLflow shows: metrics of epochs and of final models, and their time of day."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from gon_core.config import Given, TrialConfig
from gon_core.measurement import CLEAN, TOP1, Measurement
from sweeps.engine.records import TrialResult

if TYPE_CHECKING:
    from mlflow.entities import Metric

POINTS_PER_REQUEST = 1000  # MLflow's limit
NOISES = ("gaussian_noise", "shot_noise", "impulse_noise")  # MNIST-C has the last two


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
    """Return recorded epochs with their times, reckoned back from the end of the last one."""
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
    return dated(
        result.history, end_of(result) - round(1000 * result.seconds.get("evaluation", 0.0))
    )


def in_requests(epochs: Sequence[Epoch]) -> Iterator[list[Epoch]]:
    """Yield epochs in groups that fit into a request; none is torn apart."""
    group, points = [], 0
    for epoch in epochs:
        if group and points + len(epoch.metrics) > POINTS_PER_REQUEST:
            yield group
            group, points = [], 0
        group.append(epoch)
        points += len(epoch.metrics)
    if group:
        yield group


def tellable(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what MLflow can hold: it stores infinity as 1.8e308; the epoch is the step."""
    return {
        name: value
        for name, value in metrics.items()
        if name != "epoch" and not math.isinf(value)
    }  # fmt: skip


def same(one: float | None, other: float) -> bool:
    """Whether two values are the same, NaN included."""
    return one == other or (one is not None and math.isnan(one) and math.isnan(other))


def final_metrics(result: TrialResult) -> dict[str, float]:
    """Return what was measured of a trial's final model by MLflow name, in the measures' units."""
    is_imagenet = result.config.data.dataset == "imagenet_c"
    name = "imagenet_c" if is_imagenet else "mnist_c"
    metrics: dict[str, float] = {}
    for split in dict.fromkeys(row.split for row in result.of(TOP1)):
        prefix = "" if split == "test" else f"{split}/"
        metrics |= _accuracies(result.of(TOP1, split), prefix, name)
    for row in result.measurements:
        if row.measure != TOP1:
            metrics |= _metrics(row)
    if is_imagenet and result.of(TOP1):
        from gon_core.evaluation import corruption_error  # slow: it loads torch

        errors = corruption_error.errors_over_severities(result.measurements, "test")
        relative = corruption_error.corruption_errors(errors)
        metrics |= {f"imagenet_c/corruption_error/{key}": ce for key, ce in relative.items()}
        metrics["imagenet_c/mce"] = statistics.fmean(relative.values())
    return metrics | {f"seconds/{part}": seconds for part, seconds in result.seconds.items()}


def _accuracies(rows: Sequence[Measurement], prefix: str, name: str) -> dict[str, float]:
    """Return the accuracies on one split, by corruption (over its severities) and their means."""
    corrupted = [row for row in rows if row.setting != CLEAN]
    metrics = {
        f"{prefix}{name}/{setting}": _mean_top1(row for row in corrupted if row.setting == setting)
        for setting in dict.fromkeys(row.setting for row in corrupted)
    }
    for row in rows:
        if row.setting == CLEAN:
            metrics[f"{prefix}clean/top1"] = row.value
            if (top5 := row.number("top5")) is not None:
                metrics[f"{prefix}clean/top5"] = top5
    if not corrupted:
        return metrics
    metrics[f"{prefix}{name}/mean"] = _mean_top1(corrupted)
    quiet = [row for row in corrupted if row.setting not in NOISES]
    if quiet and len(quiet) < len(corrupted):
        metrics[f"{prefix}{name}/mean_without_noise"] = _mean_top1(quiet)
    top5s = [row.number("top5") for row in corrupted]
    if None not in top5s:
        metrics[f"{prefix}{name}/mean_top5"] = statistics.fmean(top5 or 0.0 for top5 in top5s)
    severities = sorted({row.severity or 0 for row in corrupted})
    if len(severities) > 1:
        for severity in severities:
            top1 = _mean_top1(row for row in corrupted if row.severity == severity)
            metrics[f"{prefix}{name}/severity_{severity}"] = top1
    return metrics


def _mean_top1(rows: Iterable[Measurement]) -> float:
    return statistics.fmean(row.value for row in rows)


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
    if not isinstance(config.method, Given):  # whose training is not ours to tell
        parameters |= config.training.model_dump()
    parameters |= {"seed": config.seed, "dataset": config.data.dataset}
    return {name: str(value) for name, value in parameters.items()}


def to_points(metrics: Mapping[str, float], time: int, step: int) -> "list[Metric]":
    """Return the points of metrics at a step, at a time in ms since 1970."""
    from mlflow.entities import Metric

    return [Metric(name, value, time, step) for name, value in tellable(metrics).items()]
