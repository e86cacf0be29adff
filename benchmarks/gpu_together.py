"""Several trainings on one GPU at once, for ``gpu.py``."""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_steps import DEVICE, DIGITS, FORMS, IS_GPU, Form, Row, epochs_of, wait
from torch import Tensor, nn

from gon_core import seeding
from gon_core.config import GNT, TrainingConfig
from gon_core.training import EpochMetrics, cuda_graphs, precision
from gon_core.training.recordings import TRIES

TOGETHER = (1, 2, 4, 8) if IS_GPU else (1, 2)
SIGMA = 0.5
# An epoch takes a tenth of a second: two are timed together, and the median of five times counts.
EPOCHS, TIMES = (2, 5) if IS_GPU else (1, 2)
ALL_EPOCHS = 1 + EPOCHS * TIMES  # graphs are recorded in the first


def together() -> Iterator[Row]:
    """Trainings of one shape at once: in processes, on streams of one, with stacked weights."""
    ways = {"processes": in_processes, "streams of a process": on_streams, "stacked": stacked}
    for words, form in FORMS.items():
        alone: float | None = None  # a trial in a process
        for way, run in ways.items():
            for count in TOGETHER:
                seconds = run(count, words, form)
                alone = seconds if alone is None else alone
                yield {"case": DIGITS.name, "method": "gnt", "form": words, "how": way,
                       "trials": count, "seconds": seconds,
                       "times one after the other": count * alone / seconds}  # fmt: skip


def median_epoch(run: Callable[[], Any]) -> float:
    """Return the median seconds of an epoch, where ``run`` runs ``EPOCHS`` to their end."""
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        run()
        wait()
        found.append(time.perf_counter() - started)
    return statistics.median(found) / EPOCHS


def in_processes(count: int, words: str, form: Form) -> float:
    """Return how long an epoch of each of so many processes takes, all at once."""
    command = [sys.executable, str(Path(__file__).with_name("gpu.py")), "--worker", words]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(count)]

    def wait_for_all() -> None:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n", "a worker failed"

    def run() -> None:
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        wait_for_all()

    wait_for_all()
    seconds = median_epoch(run)
    for worker in workers:
        worker.communicate()
    return seconds


def work(words: str) -> None:
    """Be one of these processes."""
    epochs = epochs_of(DIGITS, DIGITS.images(), GNT(sigma=SIGMA), FORMS[words], ALL_EPOCHS)
    next(epochs)
    print("ready", flush=True)
    for _ in range(TIMES):
        sys.stdin.readline()
        for _ in range(EPOCHS):
            next(epochs)
        print("ready", flush=True)


def on_streams(count: int, words: str, form: Form) -> float:
    """Return how long an epoch of each takes, in a thread and on a stream of its own."""
    images = DIGITS.images()
    method = GNT(sigma=SIGMA)
    trainings = [epochs_of(DIGITS, images, method, form, ALL_EPOCHS) for _ in range(count)]
    device = torch.device(DEVICE)
    streams = [cuda_graphs.own_stream(each, device) if IS_GPU else None for each in trainings]

    def run(training: Iterator[EpochMetrics], stream: Any, epochs: int = EPOCHS) -> None:
        with torch.cuda.stream(stream):
            for _ in range(epochs):
                next(training)

    for training, stream in zip(trainings, streams, strict=True):
        run(training, stream, 1)

    def run_all() -> None:
        pairs = zip(trainings, streams, strict=True)
        threads = [threading.Thread(target=run, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return median_epoch(run_all)


def stacked(count: int, words: str, form: Form) -> float:
    """Return how long an epoch of each takes with their weights in one tensor for each layer.

    The step of GNT alone, as a sketch of it: batched convolutions for all of them at once. A trial
    would not have the bits that it has alone.
    """
    images, networks = DIGITS.images(), [DIGITS.network() for _ in range(count)]
    weights, _ = torch.func.stack_module_state(networks)
    sgd = torch.optim.SGD(list(weights.values()), lr=1e-3, momentum=0.9, fused=IS_GPU)
    stream = seeding.generator(0, "noise", device=DEVICE)
    index = torch.zeros((count, DIGITS.batch), dtype=torch.int64, device=DEVICE)

    def loss_of(weights: dict[str, Tensor], pixels: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=form.precision == "bf16"):
            logits = torch.func.functional_call(networks[0], weights, (pixels,))
        return nn.functional.cross_entropy(logits.float(), labels)

    def step() -> None:
        pixels = images.images[index].float().div_(255)
        noise = torch.empty_like(pixels[:, ::2]).normal_(0, SIGMA, generator=stream)
        pixels[:, ::2] = (pixels[:, ::2] + noise).clamp_(0, 1)
        sgd.zero_grad()
        torch.func.vmap(loss_of)(weights, pixels, images.labels[index]).sum().backward()
        sgd.step()

    run: Callable[[], None] = step
    with precision.products_of(TrainingConfig(precision=form.precision), index.device):
        if IS_GPU and not form.is_eager:
            recorder = cuda_graphs.Recorder(index.device, [stream])
            for _ in range(TRIES):
                recorder.try_out(step)
            run = recorder.record(step)
        else:
            run()
        order = torch.stack([torch.randperm(len(images), device=DEVICE) for _ in networks])
        wait()

        def run_all() -> None:
            for batch in order.split(DIGITS.batch, dim=1) * EPOCHS:
                index.copy_(batch)
                run()

        return median_epoch(run_all)
