"""What it costs to scale noise to the epsilon sphere, beside the usual sort-based solution.

Run it as ``python benchmarks/epsilon_sphere.py``. Every time is CPU time of one thread for a batch,
forward and backward; the sides take turns of a few batches, and ratios are taken within a round.
Processes of their own say what the first call costs, before and after the kernels are on disk.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple
from unittest import mock

import torch
from torch import Tensor

from gon_core.data import idx
from gon_core.noise import newton, scale_to_sphere
from gon_core.seeding import generator

SORT, EAGER, FUSED = "sort-based", "ours, eager", "ours, fused"
TARGET = 10


class Batch(NamedTuple):
    """What is scaled, and the gradient to send back."""

    images: Tensor
    delta: Tensor
    gradient: Tensor
    epsilon: float


FIRST_CALL = (
    "import time, torch\n"
    "torch.set_num_threads(1)\n"
    "from gon_core.noise import scale_to_sphere, solver_name\n"
    "images, delta = torch.rand(150, 1, 28, 28), torch.randn(150, 1, 28, 28, requires_grad=True)\n"
    "started, used = time.perf_counter(), time.process_time()\n"
    "scale_to_sphere(images, delta, 10.0).sum().backward()\n"
    "wall, used = time.perf_counter() - started, time.process_time() - used\n"
    "print(f'{wall:.1f} s of wall time, {used:.1f} s of CPU time in Python, {solver_name()}')\n"
)


def sort_based(images: Tensor, delta: Tensor, epsilon: float) -> Tensor:
    """Sort the factors at which pixels clip, sum up to each, look epsilon up; autograd follows."""
    rows, noise = images.flatten(1), delta.flatten(1)
    room = torch.where(noise >= 0, 1 - rows, rows).square()
    weight = noise.square()
    ends, order = (room / weight).sort(1)
    room, weight = room.gather(1, order), weight.gather(1, order)
    taken = room.cumsum(1) - room
    free = weight.flip(1).cumsum(1).flip(1)
    first = (ends * free + taken < epsilon**2).sum(1, keepdim=True)
    left = epsilon**2 - taken.gather(1, first)
    eta = (left / free.gather(1, first)).sqrt()
    return (rows + eta * noise).clamp(0, 1).reshape(images.shape)


def turn(name: str, kernels: newton.Solver, batch: Batch, calls: int) -> tuple[float, float]:
    """Return CPU milliseconds of forward and backward, and the worst relative error of a size."""
    solution = sort_based if name == SORT else scale_to_sphere
    times, noisy = [], batch.images
    # Whatever the process itself would choose.
    with mock.patch.object(newton, "solver", lambda device_type: kernels):
        for _ in range(calls):
            noise = batch.delta.clone().requires_grad_()
            started = time.process_time()
            noisy = solution(batch.images, noise, batch.epsilon)
            noisy.backward(batch.gradient)
            times.append(1000 * (time.process_time() - started))
    sizes = (noisy.detach().double() - batch.images.double()).flatten(1).norm(dim=1)
    return statistics.median(times), (sizes / batch.epsilon - 1).abs().max().item()


def batches(counts: list[int]) -> dict[str, Batch]:
    """Return digits and made-up photos with noise, the gradients to send back, and epsilon."""
    stream = generator(0, "noise")
    digits = idx.load("mnist")[1].images.float() / 255
    photos = (1.2 * torch.rand(4, 3, 224, 224, generator=stream) - 0.1).clamp(0, 1)
    kinds = [(f"{n} digits of 784 values, epsilon 10", digits[:n], 10.0) for n in counts]
    kinds += [("4 photos of 150,528 values, epsilon 135", photos, 135.0)]
    return {
        name: Batch(
            images,
            torch.randn(images.shape, generator=stream),
            torch.randn(images.shape, generator=stream),
            epsilon,
        )
        for name, images, epsilon in kinds
    }


def first_calls() -> None:
    """Print what the first call costs three new processes, the first without anything on disk."""
    with tempfile.TemporaryDirectory() as folder:
        for label, choice in (("nothing on disk", "fused"), ("kernels on disk", "fused"),
                              ("GON_FUSION=eager", "eager")):  # fmt: skip
            own = {
                "TORCHINDUCTOR_CACHE_DIR": folder,
                "GON_FUSION": choice,
                "OMP_NUM_THREADS": "1",
            }
            command = [sys.executable, "-c", FIRST_CALL]
            process = subprocess.run(
                command, env=os.environ | own, check=True, text=True, stdout=subprocess.PIPE
            )
            print(f"first call, {label}: {process.stdout.strip()}", flush=True)


def main() -> None:
    """Print CPU times per batch, ratios to the sort-based solution, and what starting costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=7, help="batches of each side per round")
    parser.add_argument(
        "--images", type=int, nargs="+", default=[300, 150],
        help="digits in a batch; a step of the defaults scales 300 and 150",
    )  # fmt: skip
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sides = {SORT: newton.EAGER, EAGER: newton.EAGER, FUSED: newton.fused()}
    newton.try_out(sides[FUSED], "cpu")

    for title, batch in batches(arguments.images).items():
        times: dict[str, list[float]] = {name: [] for name in sides}
        errors: dict[str, float] = {}
        for name, kernels in sides.items():
            turn(name, kernels, batch, 1)  # compiled for each kind of batch, before the clock
        for _ in range(arguments.rounds):
            for name, kernels in sides.items():
                ms, errors[name] = turn(name, kernels, batch, arguments.calls)
                times[name].append(ms)
        print(f"{title}; {arguments.rounds} rounds of {arguments.calls}")
        for name, own in times.items():
            ratios = [a / b for a, b in zip(times[SORT], own, strict=True)]
            line = f"  {name:12} {statistics.median(own):8.2f} ms, size off by {errors[name]:.0e}"
            if name != SORT:
                line += f", sort-based / ours {statistics.median(ratios):6.1f}x"
                line += f" ({min(ratios):.1f} to {max(ratios):.1f})"
            print(line + (f", target {TARGET}" if name == FUSED else ""), flush=True)
    first_calls()


if __name__ == "__main__":
    main()
