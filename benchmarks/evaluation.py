"""What it costs to evaluate one model on all of MNIST-C, on one core in fp32.

Run it as ``python benchmarks/evaluation.py``: CPU time of one thread, medians of a few rounds. The
corruptions are made once per sweep and shared by its trials, so their cost stands apart; beside it
stands what the same evaluation costs where every trial makes them again.
"""

import argparse
import statistics
import time

import torch

from gon_core import benchmarks
from gon_core.data import idx
from gon_core.evaluation import build, evaluate
from gon_core.models import MadryCNN

TARGET = 90.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="test images, at most 10000")
    parser.add_argument("--rounds", type=int, default=3, help="the median of as many is printed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = idx.load("mnist")[1][: arguments.images]
    started = time.process_time()
    images = build(data, "test", benchmarks.get("mnist").suites["test"], 0)
    making = time.process_time() - started
    model, seconds = MadryCNN(), []
    for _ in range(arguments.rounds):
        started = time.process_time()
        assert len(list(evaluate(model, images))) == 16
        seconds.append(time.process_time() - started)
    evaluating = statistics.median(seconds)
    print(
        f"{len(data):,} images, clean and under 15 corruptions, one core, fp32: evaluated in "
        f"{evaluating:.1f} s ({min(seconds):.1f} to {max(seconds):.1f}) of CPU time"
        + (f", target {TARGET:.0f}" if len(data) == 10_000 else "")
        + f"; corruptions made in {making:.1f} s, once per sweep. Made by every trial, an "
        f"evaluation would cost {(evaluating + making) / evaluating:.2f} times as much."
    )


if __name__ == "__main__":
    main()
