"""Table 11 by our own trials: the noise generator's depth, its size and the accuracies.

The published figures are of another data set, ImageNet-C, and its generators have three channels.
"""

from typing import Any

from gon_core.config import ANT
from gon_core.noise import NoiseGenerator
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import corrupted_rows, estimate
from sweeps.engine.report.tables.table import Row, Table, numbers, words

CHANNELS = {1: "one channel", 3: "three channels"}
TITLE = "Table 11: the depth of the noise generator"
COLUMNS = ("parameters", "clean", "mean", "without noise")
NOTE = (
    "Ours: {suite}, generators for {channels}, test accuracy in percent, mean ± half of the 95 % "
    "interval; without noise: without {noises}. The paper's: ImageNet-C, "
    "ResNet-50, 1x1 kernels, generators for three channels, one run: another data set, to compare "
    "how accuracy moves with depth, not its level."
)


def build_generator_depths(summary: SweepSummary) -> tuple[Table, ...]:
    """Return Table 11, by kernel size and depth; none unless sweep.json names the paper's table.

    On ImageNet-C itself it is one of ``imagenet.build_imagenet_tables``.

    A row of ours, and the paper's below it where there is one.
    """
    published = {row["generator_depth"]: row for row in summary.published.depths}
    if not published or summary.suite.reference_errors is not None:  # ImageNet-C has the table
        return ()
    own: dict[tuple[int, int], PointSummary] = {
        (method.kernel_size, method.depth): point
        for point in summary.points
        if isinstance(method := point.trials[0].config.method, ANT)
    }
    channels = summary.benchmark.image_shape[0]
    rows = [_published("none", "", published[None])] if None in published else []
    for kernel, depth in sorted(own.keys() | {(1, depth) for depth in published if depth}):
        network = NoiseGenerator(channels, depth, kernel)
        size = f"{sum(parameter.numel() for parameter in network.parameters()):,}"
        texts = _accuracies(summary, own.get((kernel, depth)))
        rows.append(Row((str(depth), str(kernel), "ours", size, *texts)))
        if kernel == 1 and depth in published:
            rows.append(_published(str(depth), "1", published[depth]))
    columns = (*numbers("depth", "kernel size"), *words(""), *numbers(*COLUMNS))
    note = NOTE.format(
        suite=summary.suite.title,
        channels=CHANNELS.get(channels, f"{channels} channels"),
        noises=" and ".join(summary.suite.noises) or "any of them",
    )
    return (Table(TITLE, columns, tuple(rows), note, heads=3),)


def _accuracies(summary: SweepSummary, point: PointSummary | None) -> list[str]:
    if point is None:
        return ["", "", ""]
    noises = summary.suite.noises
    quiet = estimate(
        point.trials, lambda trial: [r for r in corrupted_rows(trial) if r.setting not in noises]
    )
    found = (point.clean, point.test, quiet)
    return [f"{each.mean:.1f} ± {each.half_width}" if each else "" for each in found]


def _published(depth: str, kernel_size: str, row: dict[str, Any]) -> Row:
    size = "" if row["generator_parameters"] is None else f"{row['generator_parameters']:,}"
    accuracies = (str(row[name]) for name in ("clean", "imagenet_c_top1", "without_noise_top1"))
    return Row((depth, kernel_size, "paper", size, *accuracies), "paper")
