"""What training and evaluation cost on a GPU, and what of it the GPU computes.

Run it as ``PYTHONPATH=. python benchmarks/gpu.py``, or with the names of some parts. Each takes at
most nine minutes on an H100. ``gpu.json`` and ``gpu.md`` are written into ``--out`` after each
part, with the name of the card and the software. Beyond torch (2.11 or newer) and numpy it needs
pydantic, jaxtyping, safetensors, scipy and pyarrow, with what these need, and nothing else: so it
runs on a bare machine. Frost photos, where there are any, want Pillow and OpenCV too.

Steps are timed by the median epoch but the first, in which libraries are loaded and graphs are
recorded. ``computing`` is the time of the kernels alone, by torch's profiler. The plain loop has
torch's own settings: its convolutions in fp32 are in tf32, and its bits may vary from run to run.
Without a GPU a small form of each part shows that it works, and no more.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from gpu_start import be_started, start
from gpu_steps import (
    DEVICE,
    EAGER,
    FORMS,
    IS_GPU,
    Form,
    Row,
    cifar,
    digits,
    photos_70,
    photos_70_attacks,
    photos_256,
    photos_256_attacks,
    wait,
)
from gpu_together import together, work
from torch import nn

from gon_core import architectures, evaluation, seeding
from gon_core import benchmarks as data_sets
from gon_core.config import ANT, GNT, TrainingConfig, Vanilla
from gon_core.corruptions.photos import CORRUPTIONS, SEVERITIES, corrupt
from gon_core.data import idx
from gon_core.evaluation.accuracy import batch_size, batches
from gon_core.models import MadryCNN
from gon_core.training import new_state, train
from gon_core.training.adversarial import image_gradient
from gon_core.training.runner import EagerRunner
from sweeps.engine.trials.trial import describe, make_deterministic


def measures() -> Iterator[Row]:
    """A digits model evaluated; attacks and epsilon* beside the passes that they are made of."""
    model, count = _trained(Vanilla(), epochs=1)[0], 1000 if IS_GPU else 60
    images = idx.load("mnist")[1][:count].to(DEVICE)
    shown = evaluation.build(images, "test", data_sets.get("mnist").suites["test"], 0)
    seconds = _median_seconds(lambda: list(evaluation.evaluate(model, shown)))
    yield {"measure": "16 versions", "images": 16 * count, "seconds": seconds}
    model.eval().requires_grad_(False)
    for make in (evaluation.PGDAttack, evaluation.DDNAttack):
        attack = make(size=1e-9, steps=100 if IS_GPU else 2)  # so small that each image takes all
        steps, stream = attack.steps, seeding.generator(0, "attack", device=DEVICE)

        def passes(steps: int = steps) -> None:
            for levels, labels in batches(images, batch_size(images)):
                for _ in range(steps):
                    image_gradient(model, levels.float().div_(255), labels, bf16=False)

        of_passes = _median_seconds(passes)
        seconds = _median_seconds(
            lambda a=attack, s=stream: evaluation.attack_accuracy(model, images, a, s)
        )
        yield {"measure": f"{attack.name}, {steps} steps", "images": count, "seconds": seconds,
               "times its passes": seconds / of_passes}  # fmt: skip
    for name, noise in evaluation.NOISES.items():
        stream = seeding.generator(0, name, device=DEVICE)
        seconds = _median_seconds(
            lambda n=noise, s=stream: evaluation.median_perturbation_size(model, images, n, s)
        )
        yield {"measure": f"epsilon* {name}", "images": count, "seconds": seconds}


def corruptions() -> Iterator[Row]:
    """Corruptions of photos at 224 px beside ResNet-50's forward pass, in ms an image."""
    count, side = (64, 224) if IS_GPU else (4, 224)
    small = torch.rand(count, 3, 8, 8, generator=seeding.generator(0, "photos")).to(DEVICE)
    levels = nn.functional.interpolate(small, size=side, mode="bicubic").mul(255)
    model = architectures.make("resnet50", 1000, (3, side, side)).to(DEVICE).eval()
    model, shown = model.to(memory_format=torch.channels_last), levels.clamp(0, 255).byte()
    pixels = shown.float().div(255).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for words, bf16 in (("fp32", False), ("bf16", True)):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=bf16):
                seconds = _median_seconds(lambda: model(pixels))
            yield {"what": f"ResNet-50 forward, {words}", "ms an image": 1000 * seconds / count}
    total = 0.0
    for name in CORRUPTIONS:
        try:
            each = [
                _median_seconds(lambda s=s, n=name: corrupt(shown, n, s, 0)) for s in SEVERITIES
            ]
        except (ValueError, ImportError) as error:  # no frost photos, or nothing that reads them
            yield {"what": f"{name}: {error}", "ms an image": float("nan")}
            continue
        total += sum(each)
        yield {"what": f"{name}, mean of severities", "ms an image": 200 * sum(each) / count}
    yield {"what": "all of these, all severities", "ms an image": 1000 * total / count}


def training() -> Iterator[Row]:
    """Two trainings on digits from random weights, with their wall time and accuracies."""
    test = idx.load("mnist")[1][: 10_000 if IS_GPU else 100].to(DEVICE)
    shown = evaluation.build(test, "test", data_sets.get("mnist").suites["test"], 0)
    epochs, adversary = (
        (10, ANT(epsilon=10)) if IS_GPU else (1, ANT(epsilon=10, pretraining_steps=2))
    )
    for name, method in {"gnt": GNT(sigma=0.5), "ant_1x1": adversary}.items():
        for words in ("eager fp32", "graph fp32", "graph bf16"):
            if words in FORMS:
                model, seconds = _trained(method, epochs, FORMS[words])
                clean, *rest = (row.value for row in evaluation.evaluate(model, shown))
                yield {"method": name, "form": words, "epochs": epochs, "seconds": seconds,
                       "clean %": clean, "MNIST-C mean %": statistics.fmean(rest)}  # fmt: skip


def _trained(method: Any, epochs: int, form: Form = EAGER) -> tuple[nn.Module, float]:
    """Return a digits classifier after some epochs on all of MNIST, and their seconds."""
    images = idx.load("mnist")[0][: None if IS_GPU else 600].to(DEVICE)
    config = TrainingConfig(
        max_epochs=epochs, patience=10**6, learning_rate=0.05, precision=form.precision
    )
    state = new_state(MadryCNN().to(DEVICE), config, 0, method)
    maker = EagerRunner if form.is_eager else None
    _, seconds = _timed(lambda: list(train(state, images, method, config, runner=maker)))
    return state.model, seconds


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    found = function()
    wait()
    return found, time.perf_counter() - started


def _median_seconds(function: Callable[[], Any]) -> float:
    """Return the median seconds of three calls, after one that is not counted."""
    function()
    return statistics.median(_timed(function)[1] for _ in range(3 if IS_GPU else 1))


PARTS = {
    "digits": digits, "cifar": cifar, "photos_70": photos_70,
    "photos_70_attacks": photos_70_attacks, "photos_256": photos_256,
    "photos_256_attacks": photos_256_attacks, "together": together, "measures": measures,
    "corruptions": corruptions, "training": training, "start": start,
}  # fmt: skip


def main() -> None:
    """Measure the parts, print each row, and write both files."""
    parser = argparse.ArgumentParser(
        usage="python benchmarks/gpu.py [PART ...] [--out FOLDER]", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path(), help="where both files are written")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--start", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as trials have it
    make_deterministic(DEVICE, threads=1)
    if given.worker:
        work(given.worker)
        return
    if given.start:
        be_started(given.start)
        return
    report: dict[str, Any] = {"device": describe(DEVICE), "date": f"{datetime.now(UTC):%Y-%m-%d}",
                              "torch": torch.__version__, "cuda": torch.version.cuda,
                              "python": platform.python_version(), "parts": {}}  # fmt: skip
    for name in given.parts or PARTS:
        rows: list[Row] = report["parts"].setdefault(name, [])
        started = time.perf_counter()
        for measured in PARTS[name]():
            row = {key: value for key, value in measured.items() if value == value != ""}  # no NaN
            rows.append(row)
            print(
                name,
                *(f"{key}: {_text(value)}" for key, value in row.items()),
                sep="  ",
                flush=True,
            )
            write(report, given.out)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)


def write(report: dict[str, Any], out: Path) -> None:
    """Write what was measured so far as JSON and as Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    words = ", ".join(f"{key} {report[key]}" for key in ("torch", "cuda", "python", "date"))
    lines = [f"# {report['device']}", "", words]
    for name, rows in report["parts"].items():
        heads = list(dict.fromkeys(key for row in rows for key in row))
        lines += ["", f"## {PARTS[name].__doc__}", "", f"| {' | '.join(heads)} |"]
        lines.append(f"|{' --- |' * len(heads)}")
        lines += [f"| {' | '.join(_text(row.get(key, '')) for key in heads)} |" for row in rows]
    (out / "gpu.md").write_text("\n".join(lines) + "\n")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
