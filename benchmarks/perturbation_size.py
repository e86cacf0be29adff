"""How many forward passes epsilon* takes, beside two searches for the size of every image.

Run it as ``python benchmarks/perturbation_size.py``. Every figure is the number of times that an
image went through the classifier, divided by the images: the same on every machine, but for images
whose class rounding decides. All have the settings of the sweeps, and the same noise. The searches
for every image are that of ``median_perturbation_size``, along a grid of radii and then by
bisection, and bisection alone, which takes for granted that an image that is wrong stays wrong. The
classifier is trained first, for a minute or so, or read from ``--weights``.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from gon_core.config import DataConfig, TrainingConfig, Vanilla
from gon_core.data import idx
from gon_core.data.splits import LabelledImages, split
from gon_core.evaluation import (
    NOISES,
    Noise,
    count_correct,
    median_perturbation_size,
    size_search,
)
from gon_core.evaluation.frozen import frozen
from gon_core.models import MadryCNN
from gon_core.seeding import generator
from gon_core.training import new_state
from gon_core.training import train as train_epochs
from gon_core.training.checkpoints import restore_model

TARGET = 5


def train(images: int, epochs: int) -> MadryCNN:
    """Return a classifier trained on clean digits, by default that of the demo scale."""
    data = split(*idx.load("mnist"), DataConfig(training_images=images)).training
    training = TrainingConfig(max_epochs=epochs, learning_rate=0.03)
    state = new_state(model := MadryCNN(), training, 0)
    for _ in train_epochs(state, data, Vanilla(), training):
        pass
    return model


def bisect_each(
    model: MadryCNN, data: LabelledImages, noise: Noise, precision: float
) -> tuple[float, int]:
    """Bisect between 0 and the end of its reach for every image, as if all were monotone.

    Returns:
        the median and the forward passes.
    """
    with frozen(model), torch.no_grad():
        found = size_search.start(model, data, noise, generator(0, "noise"), precision)
        found.exhaust()
        found.bisect(found.everything)
    return found.bracket((len(data) + 1) // 2)[1], found.forwards


def measure(model: MadryCNN, data: LabelledImages, noise: Noise, precision: float) -> None:
    """Print what the three searches take for one noise, and find."""
    started = time.process_time()
    median = median_perturbation_size(
        model, data, noise, generator(0, "noise"), precision=precision
    )
    seconds = time.process_time() - started
    each = median_perturbation_size(
        model, data, noise, generator(0, "noise"), precision=precision, search="per image"
    )
    bisected, forwards = bisect_each(model, data, noise, precision)
    print(f"{noise.name}, {len(data)} images: {median}")
    found: dict[str, tuple[float, Any]] = {
        "the median alone": (median.value, median.extra["forwards"]),
        "per image, grid": (each.value, each.extra["forwards"]),
        "per image, bisection": (bisected, forwards),
    }
    _, forwards_of_median = found["the median alone"]
    for label, (size, looks) in found.items():
        line = f"  {label:21} epsilon* {size:8.4f}  {looks / len(data):6.2f} forwards"
        if label == "the median alone":
            line += f"  {seconds:6.1f} s"
        else:
            line += f"  {looks / forwards_of_median:5.2f}x the median alone, target {TARGET}"
        print(line, flush=True)


def main() -> None:
    """Print forward passes per image for each number of images and noise, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images", type=int, nargs="+", default=[300, 1000, 10_000],
        help="numbers of test images, from the first; the demo scale has 300, the paper's all",
    )  # fmt: skip
    parser.add_argument("--precision", type=float, default=1e-3)
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--training-images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="safetensors of a MadryCNN")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.weights:
        model = MadryCNN()
        restore_model(model, arguments.weights.read_bytes())
    else:
        model = train(arguments.training_images, arguments.epochs)
    test = idx.load("mnist")[1]
    correct = 100 * count_correct(model, test) / len(test)
    print(f"{correct:.1f} % right without noise; precision {arguments.precision:g}", flush=True)
    for images in arguments.images:
        for name in arguments.noises:
            measure(model, test[:images], NOISES[name], arguments.precision)


if __name__ == "__main__":
    main()
