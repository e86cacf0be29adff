"""What noise generators learned: a sheet for the one of a trial, and all points side by side."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gon_core.config import ANT
from gon_core.evaluation import learned_noise
from gon_core.evaluation.learned_noise import LearnedNoise
from search_spaces.parameter import Point, value_text
from sweeps.engine.records import NOISE, SweepRecords, TrialResult
from sweeps.engine.report.figures import point_rows, style
from sweeps.engine.report.figures.style import GREY, OURS, PUBLISHED
from sweeps.engine.report.files import first_of_seeds
from sweeps.engine.report.summary.aggregate import PointSummary, SweepSummary
from sweeps.engine.report.summary.estimates import share_unattainable
from sweeps.engine.system.text import plural

ARTIFACT_DPI = 110  # for the screen: one sheet a trial
SAMPLES = 8  # of the images, in one row
GAP = 2  # pixels between two images
FLOOR = 3e-5  # density of fewer than one value in 256 images
MARKED_RESETS = 20  # more marks than these would hide the curve
MOST = 12  # points side by side
COLUMNS = 4
# In each block, in inches: where a panel begins and its height, and the height of all.
DENSITY, ACCURACY, BLOCK = (0.4, 1.3), (2.05, 0.95), 3.4

History = Sequence[dict[str, float]]
Portraits = dict[Point, tuple[TrialResult, LearnedNoise]]
"""By point, the best first, of the first seed that has one: the trial and what it learned."""


def read_portraits(records: SweepRecords, summary: SweepSummary) -> Portraits:
    """Return what generators learned at the best points, at most ``MOST``; empty without any.

    A damaged file is left out with a warning.
    """
    found = first_of_seeds(records, summary.by_rank, NOISE, learned_noise.load)
    return dict(islice(found, MOST))


def render_trial(result: TrialResult, noise: bytes) -> dict[str, bytes]:
    """Return a PNG of what the noise generator of a trial learned, by file name.

    Args:
        result: how the trial ended; its history has the generator's training.
        noise: the content of the trial's noise.safetensors.

    Raises:
        SafetensorError, KeyError: ``noise`` is not such a file.
    """
    title = f"The noise learned by trial {result.trial_id}"
    draw = partial(draw_portrait, result, learned_noise.load(noise), title)
    return style.render("learned_noise", draw, endings=("png",), dpi=ARTIFACT_DPI)


def draw_portrait(result: TrialResult, noise: LearnedNoise, title: str) -> Figure:
    """Return the sheet: density, correlation, samples and the generator's training."""
    figure = Figure(figsize=(9.0, 8.2))

    def add(place: tuple[float, float, float, float], name: str, below: str = "") -> Axes:
        axes = figure.add_axes(place)
        axes.set_title(name, loc="left", fontsize=10.5)
        axes.set_xlabel(below, fontsize=9.5)
        return axes

    name, below = "Density of one pixel's noise", "in standard deviations, before clipping"
    density = add((0.07, 0.63, 0.52, 0.32), name, below)
    _draw_density(density, noise)
    density.legend(frameon=False, fontsize=9, loc="upper right", borderaxespad=0.1)
    name, below = "Correlation of two pixels' noise", "distance in pixels"
    _draw_correlation(add((0.68, 0.63, 0.30, 0.32), name, below), noise)
    method = result.config.method
    size = f" of size epsilon {value_text(method.epsilon)}" if isinstance(method, ANT) else ""
    name = f"Images with noise{size}, and below without"
    _draw_samples(add((0.07, 0.29, 0.92, 0.246), name), noise)
    accuracy = add(
        (0.07, 0.05, 0.41, 0.2), "Classifier's accuracy under the current noise (%)", "epoch"
    )
    draw_metric(accuracy, result.history, "generator_accuracy")
    loss = add((0.57, 0.05, 0.41, 0.2), "Its loss there (cross entropy, nats)", "epoch")
    draw_metric(loss, result.history, "generator_loss", PUBLISHED)
    return style.add_title_and_caption(figure, title, _portrait_caption(result))


def _portrait_caption(result: TrialResult) -> list[str]:
    method, lines = result.config.method, []
    if isinstance(method, ANT):
        interval = value_text(method.reset_interval)
        resets = "never replaced" if interval == "never" else f"replaced every {interval} epochs"
        lines.append(
            f"Generator of depth {method.depth}, {method.kernel_size}x{method.kernel_size}, "
            f"{resets}; seed {result.config.seed}."
        )
    share = share_unattainable(result)
    if share is not None:
        lines.append(
            f"{resets_text(result.history)}; for {share:.1f} % of the images no scale "
            "of the noise reached epsilon in the last epoch."
        )
    if result.status == "max_epochs":
        lines.append("The trial had not converged when it ended.")
    return lines


def draw_overview(summary: SweepSummary, portraits: Portraits) -> Figure:
    """Return for each point the density of its noise and, below, the accuracy over the epochs."""
    # In the order of the table.
    is_joint = summary.search == "joint"
    points = summary.by_rank if is_joint else summary.points
    shown = [point for point in points if point.point in portraits]
    figure, plots = style.small_panels(
        len(shown), COLUMNS, 2.2, 0.2, 0.6, (DENSITY, ACCURACY), BLOCK
    )
    for item, (point, panels) in enumerate(zip(shown, plots, strict=True)):
        result, noise = portraits[point.point]
        _draw_density(panels[0], noise)
        draw_metric(panels[1], result.history, "generator_accuracy")
        text = f"#{point.number}" if is_joint else summary.text(point.point).replace("_", " ")
        color, weight = (OURS, "bold") if point is summary.best else ("black", "normal")
        look: dict[str, Any] = {"color": color, "fontweight": weight, "parse_math": False}
        panels[0].set_title(text, loc="left", fontsize=9, **look)
        is_first = item % COLUMNS == 0
        labels = ("standard deviations", "density"), ("epoch", "accuracy (%)")
        for axes, (x, y) in zip(panels, labels, strict=True):
            axes.set_xlabel(x, fontsize=8.5, labelpad=1)
            axes.tick_params(labelsize=8, labelleft=is_first, pad=2)
            axes.set_ylabel(y if is_first else "", fontsize=9)
    style.share_range([accuracy for _, accuracy in plots])
    title = "Learned noise, point by point"
    return style.add_title_and_caption(figure, title, _overview_caption(summary, shown))


def _overview_caption(summary: SweepSummary, shown: Sequence[PointSummary]) -> list[str]:
    parts = [
        "Above: density of one pixel's noise before clipping, dashed N(0, 1). Below: the "
        "classifier's accuracy under the current generator, over the training.",
        point_rows.first_seed(shown),
        "The best point's name is bold." if summary.best in shown else "",
    ]
    lines = [" ".join(filter(None, parts))]
    trained = sum(
        any(isinstance(trial.config.method, ANT) for trial in point.trials if trial.is_measured)
        for point in summary.measured
    )
    if len(shown) < trained:
        best = "The best " if len(shown) == MOST else ""
        lines.append(f"{best}{len(shown)} of {trained} measured points with a noise generator.")
    return lines


def _draw_density(axes: Axes, noise: LearnedNoise) -> None:
    """Draw the density of one pixel's noise beside that of N(0, 1), on a logarithmic axis.

    On a linear one all densities of mean 0 and deviation 1 look alike: they differ in the tails.
    """
    edges = noise.edges.numpy()
    density = np.maximum(noise.density.numpy(), FLOOR)
    x = np.linspace(edges[0], edges[-1], 201)
    gaussian = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    shown = gaussian > FLOOR
    axes.stairs(density, edges, baseline=FLOOR, fill=True, color=OURS, alpha=0.18)
    axes.stairs(density, edges, baseline=FLOOR, color=OURS, linewidth=1.5, label="learned noise")
    axes.plot(
        x[shown], gaussian[shown], color="black", linestyle=(0, (4, 2)), linewidth=1.1,
        label="N(0, 1)",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(FLOOR, 2.0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xticks([-4, -2, 0, 2, 4])
    axes.set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
    axes.minorticks_off()


def _draw_correlation(axes: Axes, noise: LearnedNoise) -> None:
    """Draw the correlation of two pixels' noise by their distance as a map with numbers."""
    correlation = noise.correlation.numpy()
    rows, columns = correlation.shape
    axes.imshow(correlation, cmap="PuOr_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(correlation):
        axes.text(
            column, row, f"{round(float(value), 2) + 0.0:.2f}", ha="center", va="center",
            fontsize=8.5, color="white" if abs(value) > 0.6 else "black",
        )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticks(range(columns), [str(k - columns // 2) for k in range(columns)])
    axes.set_yticks(range(rows), [str(k - rows // 2) for k in range(rows)])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _draw_samples(axes: Axes, noise: LearnedNoise) -> None:
    """Draw images with sampled noise above the same without."""
    sheet = np.concatenate([_strip(noise.noisy.numpy()), _strip(noise.clean.numpy())])[:-GAP]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
    axes.set_anchor("W")


def _strip(images: np.ndarray) -> np.ndarray:
    # Lines of mid-grey part the images, which are white and black themselves.
    edges = ((0, 0), (0, 0), (0, GAP), (0, GAP))
    framed = np.pad(images[:SAMPLES], edges, constant_values=128)
    strip = np.concatenate(list(framed), axis=2)[..., :-GAP]
    return strip[0] if len(strip) == 1 else np.moveaxis(strip, 0, -1)


def draw_metric(axes: Axes, history: History, name: str, color: str = OURS) -> None:
    """Draw one metric of the training by epoch, with marks where a generator was replaced."""
    entries = [entry for entry in history if name in entry and np.isfinite(entry[name])]
    if not entries:
        style.say(axes, "not recorded")
        return
    epochs = [entry["epoch"] for entry in entries]
    axes.plot(
        epochs, [entry[name] for entry in entries], color=color, linewidth=1.5,
        marker="o" if len(entries) <= 30 else "", markersize=3.5,
    )  # fmt: skip
    for epoch in reset_epochs(history):
        axes.axvline(epoch, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    axes.set_xlim(0.5, max(epochs) + 0.5)
    axes.margins(y=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def reset_epochs(history: History) -> list[float]:
    """Return the epochs in which a generator was replaced, if they are few enough to be marked.

    Where every epoch has its resets a mark says nothing.
    """
    before, found = 0.0, []
    for entry in history:
        after = entry.get("resets", before)
        if after > before:
            found.append(entry["epoch"])
        before = after
    return found if 2 * len(found) <= len(history) and len(found) <= MARKED_RESETS else []


def resets_text(history: History) -> str:
    """Return how often the generator was replaced, in words."""
    count = round(history[-1].get("resets", 0))
    generators = "No generator" if count == 0 else plural(count, "generator")
    return f"{generators} replaced in {plural(len(history), 'epoch')}"
