"""What the benchmarks of a training step share: taking turns, and the parts of the plain loop.

Contenders wait in processes of their own and take turns, round by round, so that a slow moment of
the machine meets all of them; ratios are taken within a round.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BATCH_SIZE, LEARNING_RATE, MOMENTUM = 300, 1e-3, 0.9
# What ``sweeps.engine.backend.tuner.cluster`` sets for the processes of its trials.
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


def plain_loader(steps: int) -> Any:
    """Return the tutorials' data pipeline: torchvision's dataset and a DataLoader."""
    import torch
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
    return torch.utils.data.DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)


def plain_model() -> tuple[Any, Any]:
    """Return the classifier as tutorials write it, NCHW with ReLU before pooling, and its SGD."""
    import torch
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )  # fmt: skip
    return model, torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)


def passes(batches: Any) -> Iterator[None]:
    """Yield after each pass over what ``batches`` returns."""
    while True:
        for _ in batches():
            pass
        yield


def timed(steps: int, work: dict[str, Iterator[Any]]) -> None:
    """Be a contender: at each line read, time each piece of work; print ms per step."""
    for _ in sys.stdin:
        times = {}
        for name, one in work.items():
            started = time.process_time()
            next(one)
            times[name] = 1000 * (time.process_time() - started) / steps
        print(json.dumps(times), flush=True)


@contextlib.contextmanager
def start(script: str, who: Contender, steps: int, warm_up: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that waits for its turns; it ends when its input does."""
    inherited = {key: value for key, value in os.environ.items() if key not in ENGINE_ENVIRONMENT}
    command = [sys.executable, script, "--contender", who.side, who.precision]
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


def take_turns(
    script: str, contenders: dict[str, Contender], rounds: int, steps: int, warm_up: int
) -> dict[str, list[dict[str, float]]]:
    """Run all contenders side by side; return what each printed in every round."""
    name, units = cpu()
    print(f"{name}, {units}; batch {BATCH_SIZE}, one thread, {rounds} rounds of {steps} steps",
          flush=True)  # fmt: skip
    times: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with contextlib.ExitStack() as stack:
        waiting = {
            name: stack.enter_context(start(script, who, steps, warm_up))
            for name, who in contenders.items()
        }
        for index in range(rounds):
            for name, process in waiting.items():
                times[name].append(turn(process))
            row = " ".join(f"{values[-1]['step']:6.0f}" for values in times.values())
            print(f"round {index + 1}/{rounds}, ms per step: {row}", flush=True)
    return times


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


def median(times: list[dict[str, float]], what: str) -> float:
    """Return the median over the rounds, in ms per step."""
    return statistics.median(one[what] for one in times)


def ratios(above: list[dict[str, float]], below: list[dict[str, float]], what: str) -> list[float]:
    """Return the ratio of two contenders' times in each round."""
    return [one[what] / other[what] for one, other in zip(above, below, strict=True)]


def spread(values: list[float]) -> str:
    """Return the median of ratios, and the least and the greatest."""
    return f"{statistics.median(values):5.2f}x ({min(values):.2f} to {max(values):.2f})"


def print_table(
    times: dict[str, list[dict[str, float]]], plain: str, targets: dict[str, float]
) -> None:
    """Print each contender's medians, and how many times as long the plain loop takes."""
    amx = cpu()[1] == "AMX"
    print(f"\n{'':46} {'ms/step':>8} {'data':>7}   plain / ours: median (least to greatest)")
    for name, rounds in times.items():
        line = f"{name:46} {median(rounds, 'step'):8.1f} {median(rounds, 'data'):7.2f}"
        if name != plain:
            line += f"   {spread(ratios(times[plain], rounds, 'step'))}"
        if name in targets:
            line += f", target {targets[name]:g}" + (
                " on a CPU with AMX, which this one lacks" if "bf16" in name and not amx else ""
            )
        print(line)
