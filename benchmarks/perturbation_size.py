"""How many forward passes epsilon* takes, beside searches for the size of every image.

Run it as ``python benchmarks/perturbation_size.py``. Every figure is the number of times that an
image went through the classifier, divided by the images: the same on every machine, but for images
whose class rounding decides. The classifier is trained first, for a minute or so, or read from
``--weights``.
"""

import argparse
import time
from pathlib import Path

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
    """Return a classifier trained on clean digits."""
    data = split(*idx.load("mnist"), DataConfig(training_images=images)).training
    training = TrainingConfig(max_epochs=epochs, learning_rate=0.05)
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
        found.bisect(torch.arange(len(data)))
    return float(found.wrong.median()), found.forwards


def main() -> None:
    """Print forward passes per image for each noise, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000, help="test images, from the first")
    parser.add_argument("--precision", type=float, default=1e-3)
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--training-images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--weights", type=Path, help="safetensors of a MadryCNN")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.weights:
        model = MadryCNN()
        restore_model(model, arguments.weights.read_bytes())
    else:
        model = train(arguments.training_images, arguments.epochs)
    data = idx.load("mnist")[1][: arguments.images]
    count, precision = len(data), arguments.precision
    correct = 100 * count_correct(model, data) / count
    print(f"{count} images, {correct:.1f} % right without noise; precision {precision:g}")
    for name in arguments.noises:
        noise, rows, seconds = NOISES[name], {}, {}
        for label, options in {
            "median alone": {"tolerance": 1.0, "count_never": False},
            "and who never errs": {"tolerance": 1.0},
            "per image, grid first": {"search": "per image"},
        }.items():
            started = time.process_time()
            stream = generator(0, "noise")
            rows[label] = median_perturbation_size(
                model, data, noise, stream, precision=precision, **options
            )
            seconds[label] = time.process_time() - started
        base = rows["median alone"].forwards
        print(f"{name}: {rows['and who never errs']}")
        for label, row in rows.items():
            line = f"  {label:22} epsilon* {row.median:8.4f}  {row.forwards / count:6.2f} forwards"
            line += f"  {seconds[label]:6.1f} s"
            if row.per_image:
                line += f"  {row.forwards / base:5.1f}x the median alone, target {TARGET}"
            print(line)
        median, forwards = bisect_each(model, data, noise, precision)
        print(f"  {'per image, bisection':22} epsilon* {median:8.4f}  {forwards / count:6.2f} "
              f"forwards {'':9} {forwards / base:5.1f}x the median alone", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
