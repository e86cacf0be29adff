"""What the noise generator of one trial learned, on one sheet."""

from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from gon_core.config import ANT
from gon_core.evaluation import learned_noise
from gon_core.evaluation.learned_noise import LearnedNoise
from sweeps.engine.records import TrialResult
from sweeps.engine.report.figures import noise_panels
from sweeps.engine.report.figures.style import add_title_and_caption, new_figure, render
from sweeps.engine.report.summary.estimates import share_unattainable
from sweeps.engine.report.summary.space import value_text

ARTIFACT_DPI = 110  # for the screen: one sheet a trial


@dataclass(frozen=True)
class Portrait:
    """A trial and the noise that its last generator makes."""

    result: TrialResult
    noise: LearnedNoise


def render_trial(result: TrialResult, noise: bytes) -> dict[str, bytes]:
    """Return a PNG of what the noise generator of a trial learned, by file name.

    Args:
        result: how the trial ended; its history tells the generator's training.
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
    noise_panels.draw_density(density, noise)
    density.legend(frameon=False, fontsize=9, loc="upper right", borderaxespad=0.1)
    _name(density, "Density of one pixel's noise", "in standard deviations, before clipping")
    correlation = figure.add_axes((0.68, 0.63, 0.30, 0.32))
    noise_panels.draw_correlation(correlation, noise)
    _name(correlation, "Correlation of two pixels' noise", "distance in pixels")
    samples = figure.add_axes((0.07, 0.29, 0.92, 0.246))
    noise_panels.draw_samples(samples, noise)
    _name(samples, _samples_title(portrait.result), "")
    accuracy = figure.add_axes((0.07, 0.05, 0.41, 0.2))
    noise_panels.draw_accuracy(accuracy, history)
    _name(accuracy, "Classifier's accuracy under the current noise (%)", "epoch")
    loss = figure.add_axes((0.57, 0.05, 0.41, 0.2))
    noise_panels.draw_loss(loss, history)
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
            f"{noise_panels.resets_text(result.history)}; for {share:.1f} % of the images no scale "
            "of the noise reached epsilon in the last epoch."
        )
    if result.status == "max_epochs":
        lines.append("The trial had not converged when it ended.")
    return lines
