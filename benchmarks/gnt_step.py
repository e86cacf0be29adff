"""What one step of Gaussian noise training costs, beside the plain PyTorch loop for the same step.

Run it as ``python benchmarks/gnt_step.py``. Every figure is CPU time of one thread, data included.
The plain loop is what the tutorials show: torchvision's dataset, a DataLoader, rows of pixels in
NCHW, ReLU before pooling.
"""

import argparse
import math
from collections.abc import Iterator
from typing import Any

from turns import (
    BATCH_SIZE,
    ENGINE_ENVIRONMENT,
    LEARNING_RATE,
    MOMENTUM,
    Contender,
    passes,
    plain_loader,
    plain_model,
    print_table,
    ratios,
    spread,
    take_turns,
    timed,
)

SIGMA = 0.5
PLAIN = "plain loop, fp32"
CONTENDERS = {
    PLAIN: Contender("plain", "fp32", {}),
    "ours, fp32": Contender("ours", "fp32", ENGINE_ENVIRONMENT),
    "ours, bf16": Contender("ours", "bf16", ENGINE_ENVIRONMENT),
    "ours, fp32, without the engine's environment": Contender("ours", "fp32", {}),
    "ours, bf16, without the engine's environment": Contender("ours", "bf16", {}),
}
TARGETS = {"ours, fp32": 1.35, "ours, bf16": 3.0}


def plain_work(steps: int) -> dict[str, Iterator[None]]:
    """Return the plain loop and its data pipeline alone; each ``next`` is an epoch of ``steps``."""
    import torch
    from torch import nn

    loader = plain_loader(steps)
    model, optimizer = plain_model()

    def epochs() -> Iterator[None]:
        model.train()
        while True:
            loss_sum, correct = 0.0, 0
            for images, labels in loader:
                noisy = images[BATCH_SIZE // 2 :]
                noise = SIGMA * torch.randn_like(noisy)
                images[BATCH_SIZE // 2 :] = (noisy + noise).clamp(0, 1)
                logits = model(images)
                loss = nn.functional.cross_entropy(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item()
                correct += (logits.argmax(1) == labels).sum().item()
            assert math.isfinite(loss_sum)
            yield

    return {"step": epochs(), "data": passes(lambda: loader)}


def our_work(steps: int, precision: Any) -> dict[str, Iterator[Any]]:
    """Return this project's training and its data pipeline alone, as ``plain_work`` does."""
    from gon_core.config import GNT, TrainingConfig
    from gon_core.data import idx
    from gon_core.models import MadryCNN
    from gon_core.seeding import generator
    from gon_core.training import new_state, train
    from gon_core.training.batches import batches

    images = idx.load("mnist")[0][: steps * BATCH_SIZE]
    config = TrainingConfig(
        batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, momentum=MOMENTUM,
        patience=10**6, max_epochs=10**6, precision=precision,
    )  # fmt: skip
    order = generator(0, "data order")
    return {
        "step": train(new_state(MadryCNN(), config, 0), images, GNT(sigma=SIGMA), config),
        "data": passes(lambda: batches(images, BATCH_SIZE, order)),
    }


def main() -> None:
    """Print each contender's CPU time per step, the ratios and what the data alone costs."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of each contender per round")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the first round")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        torch.set_num_threads(1)
        side, precision = arguments.contender
        make = plain_work if side == "plain" else lambda steps: our_work(steps, precision)
        next(make(arguments.warm_up)["step"])
        timed(arguments.steps, make(arguments.steps))
        return

    times = take_turns(__file__, CONTENDERS, arguments.rounds, arguments.steps, arguments.warm_up)
    print_table(times, PLAIN, TARGETS)
    data = ratios(times[PLAIN], times["ours, fp32"], "data")
    print(f"\ndata alone, DataLoader / gather: {spread(data)}")


if __name__ == "__main__":
    main()
