"""What the noise generator of one trial learned: density, correlation, samples, and training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gon_core.config import ANT
from gon_core.evaluation import learned_noise
from gon_core.evaluation.learned_noise import LearnedNoise
from sweeps.engine.records import TrialResult
from sweeps.engine.report.figures.style import (
    GREY,
    OURS,
    PUBLISHED,
    add_title_and_caption,
    new_figure,
    render,
    say,
)
from sweeps.engine.report.sentences import plural
from sweeps.engine.report.summary.estimates import share_unattainable
from sweeps.engine.report.summary.space import value_text

ARTIFACT_DPI = 110  # for the screen: one sheet a trial
SAMPLES = 8  # of the images, in one row
GAP = 2  # pixels between two images
FLOOR = 3e-5  # density of fewer than one value in 256 images
MARKED_RESETS = 20  # more marks than these would hide the curve

History = Sequence[dict[str, float]]


@dataclass(frozen=True)
class Portrait:
    """A trial and the noise that its last generator makes."""

    result: TrialResult
    noise: LearnedNoise


def render_trial(result: TrialResult, noise: bytes) -> dict[str, bytes]:
    """Return a PNG of what the noise generator of a trial learned, by file name.

    Args:
        result: how the trial ended; its history has the generator's training.
        noise: the content of the trial's noise.safetensors.

    Raises:
        SafetensorError, KeyError: ``noise`` is not such a file.
    """
    portrait = Portrait(result, learned_noise.load(noise))
    title = f"The noise learned by trial {result.trial_id}"
    draw = partial(draw_portrait, portrait, title)
    return render("learned_noise", draw, endings=("png",), dpi=ARTIFACT_DPI)


def draw_portrait(portrait: Portrait, title: str) -> Figure:
    """Return the sheet: density, correlation, samples and the generator's training."""
    noise, history = portrait.noise, portrait.result.history
    figure = new_figure((9.0, 8.2))
    density = figure.add_axes((0.07, 0.63, 0.52, 0.32))
    draw_density(density, noise)
    density.legend(frameon=False, fontsize=9, loc="upper right", borderaxespad=0.1)
    _name(density, "Density of one pixel's noise", "in standard deviations, before clipping")
    correlation = figure.add_axes((0.68, 0.63, 0.30, 0.32))
    draw_correlation(correlation, noise)
    _name(correlation, "Correlation of two pixels' noise", "distance in pixels")
    samples = figure.add_axes((0.07, 0.29, 0.92, 0.246))
    draw_samples(samples, noise)
    _name(samples, _samples_title(portrait.result), "")
    accuracy = figure.add_axes((0.07, 0.05, 0.41, 0.2))
    draw_accuracy(accuracy, history)
    _name(accuracy, "Classifier's accuracy under the current noise (%)", "epoch")
    loss = figure.add_axes((0.57, 0.05, 0.41, 0.2))
    draw_loss(loss, history)
    _name(loss, "Its loss there (cross entropy, nats)", "epoch")
    add_title_and_caption(figure, title, _caption(portrait.result))
    return figure


def _name(axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5)
    axes.set_xlabel(below, fontsize=9.5)


def _samples_title(result: TrialResult) -> str:
    method = result.config.method
    size = f" of size epsilon {value_text(method.epsilon)}" if isinstance(method, ANT) else ""
    return f"Images with noise{size}, and below without"


def _caption(result: TrialResult) -> list[str]:
    method = result.config.method
    lines = []
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


def draw_density(axes: Axes, noise: LearnedNoise, color: str = OURS) -> None:
    """Draw the density of one pixel's noise beside that of N(0, 1), on a logarithmic axis.

    On a linear one all densities of mean 0 and deviation 1 look alike: they differ in the tails.
    """
    edges = noise.edges.numpy()
    density = np.maximum(noise.density.numpy(), FLOOR)
    x = np.linspace(edges[0], edges[-1], 201)
    gaussian = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    shown = gaussian > FLOOR
    axes.stairs(density, edges, baseline=FLOOR, fill=True, color=color, alpha=0.18)
    axes.stairs(density, edges, baseline=FLOOR, color=color, linewidth=1.5, label="learned noise")
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


def draw_correlation(axes: Axes, noise: LearnedNoise) -> None:
    """Draw the correlation of two pixels' noise by their distance as a map with numbers."""
    correlation = noise.correlation.numpy()
    rows, columns = correlation.shape
    axes.imshow(correlation, cmap="PuOr_r", vmin=-1, vmax=1)
    for row in range(rows):
        for column in range(columns):
            value = float(correlation[row, column])
            axes.text(
                column, row, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center", fontsize=8.5,
                color="white" if abs(value) > 0.6 else "black",
            )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticks(range(columns), [str(k - columns // 2) for k in range(columns)])
    axes.set_yticks(range(rows), [str(k - rows // 2) for k in range(rows)])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def draw_samples(axes: Axes, noise: LearnedNoise) -> None:
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


def draw_accuracy(axes: Axes, history: History, color: str = OURS) -> None:
    """Draw the classifier's accuracy under the current generator by epoch."""
    _draw_metric(axes, history, "generator_accuracy", color)


def draw_loss(axes: Axes, history: History, color: str = PUBLISHED) -> None:
    """Draw the classifier's loss under the current generator by epoch."""
    _draw_metric(axes, history, "generator_loss", color)


def _draw_metric(axes: Axes, history: History, name: str, color: str) -> None:
    entries = [entry for entry in history if name in entry and np.isfinite(entry[name])]
    if not entries:
        say(axes, "not recorded")
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
