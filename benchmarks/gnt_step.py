"""What one step of Gaussian noise training costs, beside the plain PyTorch loop for the same step.

Run it as ``python benchmarks/gnt_step.py``. Every figure is CPU time of one thread, data included.
The plain loop is what the tutorials show: torchvision's dataset, a DataLoader, rows of pixels in
NCHW, ReLU before pooling. Contenders wait in processes of their own and take turns, round by round,
so that a slow moment of the machine meets all of them; ratios are taken within a round.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BATCH_SIZE, SIGMA, LEARNING_RATE, MOMENTUM = 300, 0.5, 1e-3, 0.9
# What ``sweeps.engine.tuner.cluster`` sets for the processes of its trials.
ENGINE_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1024**3),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 1024**3),
    "THP_MEM_ALLOC_ENABLE": "1",
}


class Contender(NamedTuple):
    """Whose step, in which precision, with which environment variables."""

    side: str
    precision: str
    environment: dict[str, str]


PLAIN = "plain loop, fp32"
CONTENDERS = {
    PLAIN: Contender("plain", "fp32", {}),
    "ours, fp32": Contender("ours", "fp32", ENGINE_ENVIRONMENT),
    "ours, bf16": Contender("ours", "bf16", ENGINE_ENVIRONMENT),
    "ours, fp32, without the engine's environment": Contender("ours", "fp32", {}),
    "ours, bf16, without the engine's environment": Contender("ours", "bf16", {}),
}
TARGETS = {"ours, fp32": 1.35, "ours, bf16": 3.0}


def plain_epochs(steps: int) -> tuple[Iterator[None], Iterator[None]]:
    """Return the plain loop and its data pipeline alone; each ``next`` is an epoch of ``steps``."""
    import torch
    from torch import nn
    from torchvision import datasets, transforms

    from gon_core.data import files

    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name, content in files.read_embedded().items():
            (raw / name).write_bytes(content)
        dataset = datasets.MNIST(root, train=True, transform=transforms.ToTensor())
    dataset.data = dataset.data[: steps * BATCH_SIZE]
    dataset.targets = dataset.targets[: steps * BATCH_SIZE]
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0
    )
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

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

    def data() -> Iterator[None]:
        while True:
            for _ in loader:
                pass
            yield

    return epochs(), data()


def our_epochs(steps: int, precision: Any) -> tuple[Iterator[Any], Iterator[None]]:
    """Return this project's training and its data pipeline alone, as ``plain_epochs`` does."""
    from gon_core.config import GNT, TrainingConfig
    from gon_core.data import idx
    from gon_core.models import MadryCNN
    from gon_core.seeding import generator
    from gon_core.training import new_state, train
    from gon_core.training.loop import batches

    images = idx.load("mnist")[0][: steps * BATCH_SIZE]
    config = TrainingConfig(
        batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, momentum=MOMENTUM,
        patience=10**6, max_epochs=10**6, precision=precision,
    )  # fmt: skip
    order = generator(0, "data order")

    def data() -> Iterator[None]:
        while True:
            for _ in batches(images, BATCH_SIZE, order):
                pass
            yield

    return train(new_state(MadryCNN(), config, 0), images, GNT(sigma=SIGMA), config), data()


def take_turns(side: str, precision: str, steps: int, warm_up: int) -> None:
    """Be a contender: at each line read, time an epoch and its data alone; print ms per step."""
    import torch

    torch.set_num_threads(1)
    make = plain_epochs if side == "plain" else lambda count: our_epochs(count, precision)
    next(make(warm_up)[0])
    epochs, data = make(steps)
    for _ in sys.stdin:
        times = {}
        for name, work in (("step", epochs), ("data", data)):
            started = time.process_time()
            next(work)
            times[name] = 1000 * (time.process_time() - started) / steps
        print(json.dumps(times), flush=True)


@contextlib.contextmanager
def start(who: Contender, steps: int, warm_up: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that waits for its turns; it ends when its input does."""
    inherited = {key: value for key, value in os.environ.items() if key not in ENGINE_ENVIRONMENT}
    command = [sys.executable, __file__, "--contender", who.side, who.precision]
    command += ["--steps", str(steps), "--warm-up", str(warm_up)]
    with subprocess.Popen(
        command,
        env=inherited | who.environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield process


def turn(process: subprocess.Popen[str]) -> dict[str, float]:
    """Let a contender run one round; return its ms per step."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def cpu() -> tuple[str, str]:
    """Return the CPU's name, and in words what it has for bf16."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = facts.get("flags", "").split()
    known = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 bf16 but no AMX"}
    units = next((words for flag, words in known.items() if flag in flags), "no bf16 instructions")
    return facts.get("model name", "unknown CPU"), units


def spread(values: list[float]) -> str:
    """Return the median of ratios, and the least and the greatest."""
    return f"{statistics.median(values):5.2f}x ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Print each contender's CPU time per step, the ratios and what the data alone costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="steps of each contender per round")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the first round")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        side, precision = arguments.contender
        take_turns(side, precision, arguments.steps, arguments.warm_up)
        return

    name, units = cpu()
    print(f"{name}, {units}; batch {BATCH_SIZE}, one thread, {arguments.rounds} rounds of "
          f"{arguments.steps} steps", flush=True)  # fmt: skip
    steps: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    data: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with contextlib.ExitStack() as stack:
        waiting = {
            name: stack.enter_context(start(who, arguments.steps, arguments.warm_up))
            for name, who in CONTENDERS.items()
        }
        for index in range(arguments.rounds):
            for name, process in waiting.items():
                times = turn(process)
                steps[name].append(times["step"])
                data[name].append(times["data"])
            row = " ".join(f"{values[-1]:6.0f}" for values in steps.values())
            print(f"round {index + 1}/{arguments.rounds}, ms per step: {row}", flush=True)

    print(f"\n{'':46} {'ms/step':>8} {'data':>7}   plain / ours: median (least to greatest)")
    for name in CONTENDERS:
        ms, of_data = statistics.median(steps[name]), statistics.median(data[name])
        line = f"{name:46} {ms:8.1f} {of_data:7.2f}"
        if name != PLAIN:
            ratios = [plain / ours for plain, ours in zip(steps[PLAIN], steps[name], strict=True)]
            line += f"   {spread(ratios)}"
        if name in TARGETS:
            line += f", target {TARGETS[name]:g}" + (
                " on a CPU with AMX, which this one lacks"
                if "bf16" in name and units != "AMX" else ""
            )  # fmt: skip
        print(line)
    ratios = [a / b for a, b in zip(data[PLAIN], data["ours, fp32"], strict=True)]
    print(f"\ndata alone, DataLoader / gather: {spread(ratios)}")


if __name__ == "__main__":
    main()
