"""The points that MLflow shows: metrics of epochs and of final models, and their time of day."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from gon_core.rows import CLEAN, AccuracyRow
from sweeps.engine.records import TrialResult

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


def _means(corrupted: Sequence[AccuracyRow]) -> dict[str, float]:
    """Return further means over corrupted images, in percent: top-5, and top-1 without noise."""
    found = {}
    quiet = [row.top1 for row in corrupted if row.corruption not in NOISES]
    if quiet and len(quiet) < len(corrupted):
        found["mean_without_noise"] = statistics.fmean(quiet)
    top5 = [row.top5 for row in corrupted if row.top5 is not None]
    if len(top5) == len(corrupted):
        found["mean_top5"] = statistics.fmean(top5)
    return found


def final_metrics(result: TrialResult) -> dict[str, float]:
    """Return the figures of a trial's final model by MLflow name: accuracies in percent, sizes."""
    metrics: dict[str, float] = {}
    name = "imagenet_c" if result.config.data.dataset == "imagenet_c" else "mnist_c"
    for split, prefix in (("test", ""), ("validation", "validation/")):
        rows = [row for row in result.rows if row.split == split]
        corrupted = [row for row in rows if row.corruption != CLEAN]
        means = {  # over severities, of which MNIST-C has one
            corruption: statistics.fmean(r.top1 for r in corrupted if r.corruption == corruption)
            for corruption in dict.fromkeys(row.corruption for row in corrupted)
        }
        metrics |= {f"{prefix}{name}/{corruption}": value for corruption, value in means.items()}
        metrics |= {f"{prefix}clean/top1": row.top1 for row in rows if row.corruption == CLEAN}
        if corrupted:
            mean = sum(row.top1 for row in corrupted) / len(corrupted)
            metrics[f"{prefix}{name}/mean"] = mean
            metrics |= {f"{prefix}{name}/{key}": value for key, value in _means(corrupted).items()}
        metrics |= {
            f"{prefix}clean/top5": row.top5
            for row in rows
            if row.corruption == CLEAN and row.top5 is not None
        }
    for severity in sorted({row.severity for row in result.severity_rows}):
        top1 = [row.top1 for row in result.severity_rows if row.severity == severity]
        metrics[f"mnist_c_severities/{severity}/mean"] = sum(top1) / len(top1)
    metrics |= {f"attack/{row.attack}_{row.norm}_{row.size:g}": row.top1 for row in result.attacks}
    for row in result.perturbation_sizes:
        metrics[f"epsilon_star/{row.noise}"] = row.median
        # MLflow cannot hold infinity: this one says that the median is.
        metrics[f"epsilon_star_infinite/{row.noise}"] = float(math.isinf(row.median))
        metrics[f"epsilon_star_non_monotone/{row.noise}"] = row.share_non_monotone
    if name == "imagenet_c" and result.rows:
        from gon_core.evaluation import corruption_error  # slow: it loads torch

        errors = corruption_error.errors_over_severities(result.rows, "test")
        relative = corruption_error.corruption_errors(errors)
        metrics |= {f"imagenet_c/corruption_error/{key}": ce for key, ce in relative.items()}
        metrics["imagenet_c/mce"] = statistics.fmean(relative.values())
    return metrics | {f"seconds/{part}": seconds for part, seconds in result.seconds.items()}
