"""Training loss and accuracy against epsilon, with those of ANT 1x1 as a line across."""

from matplotlib.figure import Figure

from sweeps.engine.report import sentences
from sweeps.engine.report.figures import accuracy_marks as marks
from sweeps.engine.report.figures import style
from sweeps.engine.report.figures.style import OURS, SERIES
from sweeps.engine.report.summary.aggregate import SweepSummary
from sweeps.engine.report.summary.training_match import KINDS, TrainingMatch

UNITS = {"train_loss": "training loss (nats)", "train_accuracy": "training accuracy (%)"}
TITLE = "Which epsilon of 3x3 kernels trains as ANT 1x1 does?"
NOTE = (
    "Last epoch, on images with their noise; mean over seeds with its 95 % t interval. Dotted: "
    "where the line through the means crosses that of ANT 1x1."
)


def draw_training_match(summary: SweepSummary, found: TrainingMatch) -> Figure:
    """Return the figure, a panel for the loss and one for the accuracy."""
    figure, plots = style.small_panels(2, 2, 3.7, 0.75, 0.7, [(0.3, 2.5)], 3.3)
    color, _, dashes = SERIES[-1]
    for (kind, label), (axes,) in zip(UNITS.items(), plots, strict=True):
        epsilons = [float(each.point.point[0]) for each in found.points]
        values = [each.values[kind] for each in found.points]
        axes.errorbar(
            epsilons, [value.estimate for value in values], marks.arms(values), fmt="-o",
            color=OURS, markersize=4, linewidth=1.4, capsize=3, label="ANT 3x3", zorder=4,
        )  # fmt: skip
        reference = found.reference.values[kind]
        axes.axhspan(reference.low, reference.high, color=color, alpha=0.1, linewidth=0)
        name = f"{found.reference.point.point[0]}, epsilon {_epsilon(summary, found)}"
        axes.axhline(
            reference.estimate, color=color, linestyle=dashes, linewidth=1.2, label=name, zorder=3
        )
        if (crossing := found.crossing(kind)) is not None:
            axes.axvline(crossing, color=OURS, linestyle=":", linewidth=1.0)
            axes.set_title(f"equal at {crossing:.3g}", loc="right", fontsize=8.5, color=OURS)
        axes.set_title(KINDS[kind], loc="left", fontsize=9.5)
        axes.set_xlabel("epsilon", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        axes.tick_params(labelsize=8)
    plots[0][0].legend(fontsize=8, loc="best")
    lines = [NOTE, *sentences.training_match(summary, found), *marks.caption(summary)]
    return style.add_title_and_caption(figure, TITLE, lines)


def _epsilon(summary: SweepSummary, found: TrainingMatch) -> str:
    return f"{summary.description.baselines[str(found.reference.point.point[0])]['epsilon']:g}"
