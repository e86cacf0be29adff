"""What one step of adversarial noise training costs, beside a plain PyTorch loop for the same step.

Run it as ``python benchmarks/ant_step.py``. Every figure is CPU time of one thread, data included.
Both sides take one step of the generator and one of the classifier, with two past generators to
replay. The plain loop is written from the paper in the obvious way: convolutions in NCHW, the
sphere's factor from sorted pixels, a backward pass through the classifier that computes gradients
of its weights too, which are thrown away; past generators are kept in memory.
"""

import argparse
import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

from turns import (
    BATCH_SIZE,
    ENGINE_ENVIRONMENT,
    LEARNING_RATE,
    MOMENTUM,
    Contender,
    median,
    passes,
    plain_loader,
    plain_model,
    print_table,
    take_turns,
    timed,
)

EPSILON, GENERATOR_LEARNING_RATE = 10.0, 1e-4
PARTS = [150, 90, 30, 30]  # clean, current generator, two past ones
PLAIN = "plain loop, fp32"
CONTENDERS = {
    PLAIN: Contender("plain", "fp32", {}),
    "ours, fp32": Contender("ours", "fp32", ENGINE_ENVIRONMENT),
    "ours, bf16": Contender("ours", "bf16", ENGINE_ENVIRONMENT),
}
TARGETS = {"ours, bf16": 3.2}


def sorted_sphere(images: Any, delta: Any, epsilon: float) -> Any:
    """Scale noise to the sphere by sorting the pixels by the factor at which each is clipped."""
    import torch

    x, d = images.flatten(1), delta.flatten(1)
    room = torch.where(d >= 0, 1 - x, x)
    with torch.no_grad():
        factors, order = (room / d.abs()).sort(1)
        rooms, squares = room.gather(1, order).square(), d.gather(1, order).square()
        free = squares.flip(1).cumsum(1).flip(1) - squares
        sizes = rooms.cumsum(1) + factors.square() * free
        clipped = torch.zeros_like(sizes).scatter(1, order, (sizes < epsilon**2).float())
    left = epsilon**2 - (room.square() * clipped).sum(1)
    eta = (left / (d.square() * (1 - clipped)).sum(1)).sqrt()
    return (x + eta[:, None] * d).clamp(0, 1).view_as(images)


def plain_work(steps: int) -> dict[str, Iterator[None]]:
    """Return the plain loop and its data pipeline alone; each ``next`` is an epoch of ``steps``."""
    import torch
    from torch import nn

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(1, 20, 1), nn.ReLU(), nn.Conv2d(20, 20, 1), nn.ReLU(),
                nn.Conv2d(20, 20, 1), nn.ReLU(), nn.Conv2d(20, 1, 1),
            )  # fmt: skip
            for parameter in self.parameters():
                nn.init.normal_(parameter, 0, 0.01)

        def forward(self, images: Any) -> Any:
            noise = torch.randn_like(images)
            return noise + self.layers(noise)

    loader = plain_loader(steps)
    classifier, optimizer = plain_model()
    generator, past = Generator(), Generator()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=GENERATOR_LEARNING_RATE)
    history = [Generator().state_dict() for _ in range(3)]

    def epochs() -> Iterator[None]:
        while True:
            loss_sum, correct = 0.0, 0
            for images, labels in loader:
                classifier.eval()
                noisy = sorted_sphere(images, generator(images), EPSILON)
                loss = -nn.functional.cross_entropy(classifier(noisy), labels)
                generator_optimizer.zero_grad()
                loss.backward()
                generator_optimizer.step()

                classifier.train()
                clean, current, *old = images.split(PARTS)
                with torch.no_grad():
                    batch = [clean, sorted_sphere(current, generator(current), EPSILON)]
                    for part in old:
                        past.load_state_dict(random.choice(history))
                        batch.append(sorted_sphere(part, past(part), EPSILON))
                logits = classifier(torch.cat(batch))
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
    """Return this project's training and its data pipeline alone, as ``plain_work`` does.

    Also a fresh generator's training alone, and Gaussian noise training for comparison.
    """
    from gon_core.config import ANT, GNT, TrainingConfig
    from gon_core.data import idx
    from gon_core.models import MadryCNN
    from gon_core.seeding import generator
    from gon_core.training import new_state, train
    from gon_core.training.ant import train_alone
    from gon_core.training.batches import batches
    from gon_core.training.opponent import Opponent
    from gon_core.training.runner import EagerRunner

    images = idx.load("mnist")[0][: steps * BATCH_SIZE]
    config = TrainingConfig(
        batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, momentum=MOMENTUM,
        patience=10**6, max_epochs=10**6, precision=precision,
    )  # fmt: skip
    order = generator(0, "data order")

    def adversarial(pretraining_steps: int) -> tuple[Any, Opponent, ANT]:
        method = ANT(epsilon=EPSILON, reset_interval="never", pretraining_steps=pretraining_steps)
        state = new_state(MadryCNN(), config, 0, method)
        assert isinstance(state.method_state, Opponent)
        for _ in range(3):
            state.method_state.replay.add(state.method_state.generator)
        return state, state.method_state, method

    def alone() -> Iterator[None]:
        state, opponent, _ = adversarial(pretraining_steps=steps)
        bf16, runner = precision == "bf16", EagerRunner(state, images)
        for _ in itertools.count():
            for _ in train_alone(state, opponent, images, BATCH_SIZE, bf16, runner):
                pass
            yield

    state, _, method = adversarial(pretraining_steps=0)
    gaussian = new_state(MadryCNN(), config, 0)
    return {
        "step": train(state, images, method, config),
        "data": passes(lambda: batches(images, BATCH_SIZE, order)),
        "alone": alone(),
        "gnt": train(gaussian, images, GNT(sigma=0.5), config),
    }


def main() -> None:
    """Print each contender's CPU time per step, the ratios, and the costs beside them."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps of each contender per round")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the first round")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        torch.set_num_threads(1)
        side, precision = arguments.contender
        make = plain_work if side == "plain" else lambda steps: our_work(steps, precision)
        for work in make(arguments.warm_up).values():
            next(work)
        timed(arguments.steps, make(arguments.steps))
        return

    times = take_turns(__file__, CONTENDERS, arguments.rounds, arguments.steps, arguments.warm_up)
    print_table(times, PLAIN, TARGETS)
    print("\nours, ms per step (in steps of the same precision's GNT):")
    for name, rounds in times.items():
        if name != PLAIN:
            gnt = median(rounds, "gnt")
            alone, step = median(rounds, "alone"), median(rounds, "step")
            print(f"{name:14} ANT {step:6.1f} ({step / gnt:.2f}), of a generator alone "
                  f"{alone:6.1f} ({alone / gnt:.2f}), GNT {gnt:6.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
