"""How robust are models that are trained already? The whole evaluation on one or more checkpoints.

A checkpoint is the folder of a trial or of one of its checkpoints, or a safetensors file of a plain
state dict with --architecture. Results go into MLflow, Parquet and a report as those of any trial.
A trial of one of the paper's methods at its published strength stands beside the paper's row of it,
with the deviations of its training; any other model does by its name, see --names.

A trial is evaluated on the data set that it was trained on, weights alone on the default one, or
with --imagenet on ImageNet's validation images and their corruptions.

By default that is thorough, and takes one model an hour or more on a CPU: attacks on all test
images, and two noise generators, each trained until it converges. The expected time is printed
first. With --evaluation-images 300 --generator-steps 500 it is minutes; --evaluate none leaves the
accuracies on clean and corrupted images.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import Annotated, ClassVar

from pydantic import Field

from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.options import MOST_GENERATOR_STEPS
from sweeps.engine.runs.checkpoint_options import CheckpointOptions, problems
from sweeps.engine.system.leaving import leave


class Options(CheckpointOptions):
    """Which checkpoints, on which images, what is measured, and how thoroughly."""

    examples: ClassVar[dict[str, str]] = {
        "--checkpoints TRIAL --evaluate none": "clean and corrupted images alone",
        "--checkpoints FILE --architecture resnet50 --imagenet-c DIR": "the published ImageNet-C",
    }

    generator_steps: Annotated[int, Field(ge=1, le=MOST_GENERATOR_STEPS)] | None = Field(
        None, description="Limit of a noise generator's steps for epsilon*. Default: 10000."
    )


def main() -> int:
    """Evaluate the checkpoints; return the exit code."""
    options = parse(Options, __doc__ or "", check=problems)
    from sweeps.engine.runs.checkpoint_evaluation import evaluate_checkpoints  # it loads torch

    return evaluate_checkpoints(options, options.generator_steps)


if __name__ == "__main__":
    leave(main)
