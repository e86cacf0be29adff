"""How robust are models that are trained already? The whole evaluation on one or more checkpoints.

A checkpoint is the folder of a trial or of one of its checkpoints, or a safetensors file of a plain
state dict with --architecture. Results go into MLflow, Parquet and a report as those of any trial.
"""

from sweeps.engine.checkpoint_options import CheckpointOptions as Options
from sweeps.engine.checkpoint_options import problems
from sweeps.engine.command_line import leave, parse


def main() -> int:
    """Evaluate the checkpoints; return the exit code."""
    options = parse(Options, __doc__ or "", check=problems)
    from sweeps.engine.checkpoint_evaluation import evaluate_checkpoints  # slow: it loads torch

    return evaluate_checkpoints(options)


if __name__ == "__main__":
    leave(main)
