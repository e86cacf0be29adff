"""Panels about one noise generator: its noise's density, correlation and samples, its training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gon_core.evaluation.learned_noise import LearnedNoise
from sweeps.engine.report.figures.style import GREY, OURS, PUBLISHED, say
from sweeps.engine.report.sentences import plural

SAMPLES = 8  # of the images, in one row
GAP = 2  # pixels between two images
FLOOR = 3e-5  # density of fewer than one value in 256 images
MARKED_RESETS = 20  # more marks than these would hide the curve

History = Sequence[dict[str, float]]


def draw_density(axes: Axes, noise: LearnedNoise, color: str = OURS) -> None:
    """Draw the density of one pixel's noise beside that of N(0, 1), on a logarithmic axis.

    On a linear one all densities of mean 0 and deviation 1 look alike: the tails tell them apart.
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
    framed = np.pad(images[:SAMPLES], ((0, 0), (0, GAP), (0, GAP)), constant_values=128)
    return np.concatenate(list(framed), axis=1)[:, :-GAP]


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

    Where every epoch has its resets a mark tells nothing.
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
