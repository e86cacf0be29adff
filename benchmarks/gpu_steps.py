"""Steps of training on a GPU, for ``gpu.py``: of every method, in every form, several at once."""

import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from gon_core import architectures, seeding
from gon_core import benchmarks as data_sets
from gon_core.config import DDN, PGD, UAT, FreeAT, TrainingConfig
from gon_core.data import idx
from gon_core.data.splits import LabelledImages
from gon_core.training import EpochMetrics, new_state, train
from gon_core.training.runner import EagerRunner

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
IS_GPU = DEVICE == "cuda"
ATTACK_STEPS, ALONE_STEPS = (10, 50) if IS_GPU else (2, 2)
Row = dict[str, Any]


class Form(NamedTuple):
    """How steps are run: in which precision, and whether one operation after the other."""

    precision: Any = "fp32"
    is_eager: bool = False
    is_compiled: bool = False


EAGER = Form(is_eager=True)
FORMS = {"eager fp32": EAGER, "eager bf16": Form("bf16", is_eager=True)}
if IS_GPU:
    FORMS |= {"graph fp32": Form(), "graph tf32": Form("tf32"), "graph bf16": Form("bf16")}


class Case(NamedTuple):
    """What is trained on what: made-up images, but for digits."""

    name: str
    model: str
    shape: tuple[int, int, int]
    batch: int
    steps: int = 60

    def images(self) -> LabelledImages:
        """Return as many as an epoch takes, on the device."""
        count = self.steps * self.batch
        if self.model == "madry_cnn":
            return idx.load("mnist")[0][:count].to(DEVICE)
        stream = seeding.generator(0, "images", device=DEVICE)
        shape = (count, *self.shape)
        pixels = torch.randint(256, shape, dtype=torch.uint8, device=DEVICE, generator=stream)
        return LabelledImages(pixels, torch.arange(count, device=DEVICE) % 10)

    def network(self) -> nn.Module:
        """Return the classifier as trials have it."""
        classes = 1000 if self.shape[1] == 224 else 10
        model = architectures.make(self.model, classes, self.shape).to(DEVICE)
        if IS_GPU and self.shape[0] == 3:
            model = model.to(memory_format=torch.channels_last)
        return model


DIGITS = Case("MNIST, batch 300", "madry_cnn", (1, 28, 28), 300, 60 if IS_GPU else 2)
CIFAR = Case(
    "CIFAR-10, PreActResNet-18, batch 128", "preactresnet18", (3, 32, 32), 128 if IS_GPU else 8,
    40 if IS_GPU else 2,
)  # fmt: skip
PHOTOS = [
    Case(f"224 px, ResNet-50, batch {batch}", "resnet50", (3, 224, 224), batch, steps)
    for batch, steps in (((70, 30), (256, 10)) if IS_GPU else ((2, 2),))
]


def epochs_of(
    case: Case, images: LabelledImages, method: Any, form: Form, epochs: int = 5
) -> Iterator[EpochMetrics]:
    """Return a training, which yields the metrics of each epoch."""
    config = TrainingConfig(
        batch_size=case.batch, max_epochs=epochs, patience=10**6, precision=form.precision,
        compiled=form.is_compiled,
    )  # fmt: skip
    state = new_state(case.network(), config, 0, method, channels=case.shape[0])
    return train(state, images, method, config, runner=EagerRunner if form.is_eager else None)


def step_ms(case: Case, images: LabelledImages, method: Any, form: Form) -> tuple[float, float]:
    """Return milliseconds of a step, and of its kernels alone (NaN on a CPU)."""
    epochs = epochs_of(case, images, method, form)
    next(epochs)
    # A graph more may be recorded in the second: with the first past generator.
    seconds = statistics.median(next(epochs).seconds for _ in range(3))
    computing = float("nan")
    if IS_GPU:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            next(epochs)
        computing = sum(event.self_device_time_total for event in profile.key_averages()) / 1000
    return 1000 * seconds / case.steps, computing / case.steps


def wait() -> None:
    """Wait until the GPU has done all that it was given."""
    if IS_GPU:
        torch.cuda.synchronize()


def rows_of(case: Case, methods: dict[str, Any], forms: dict[str, Form]) -> Iterator[Row]:
    """Yield a row for each method and form; attacks and generators alone by the step of each."""
    images, plain = case.images(), {}
    for name, method in methods.items():
        for words, form in forms.items():
            ms, computing = step_ms(case, images, method, form)
            plain.setdefault(words, (ms, computing))
            before, count = plain[words], 1
            if isinstance(method, PGD | DDN):
                count = method.steps
            elif name == "generator alone":
                # As many steps of the classifier and its opponent, once without those alone.
                other = method.model_copy(update={"pretraining_steps": 0})
                before, count = step_ms(case, images, other, form), ALONE_STEPS / case.steps
            if count != 1:
                ms, computing = (
                    (a - b) / count for a, b in zip((ms, computing), before, strict=True)
                )
            yield {"case": case.name, "method": name, "form": words, "ms": ms,
                   "computing": computing, "busy": computing / ms}  # fmt: skip


def methods_of(title: str) -> dict[str, Any]:
    """Return the methods of a data set by name, plain training first; attacks with few steps."""
    known = dict(data_sets.get(title).methods)
    found: dict[str, Any] = {"vanilla": known.pop("vanilla"), **known}
    found.pop("ant_1x1_without_replay", None)
    for name in ("ant_1x1", "ant_3x3"):
        changes = {"pretraining_steps": 0, "reset_interval": 0.5}  # a generator is replayed
        found[name] = found[name].model_copy(update=changes)
    for name in ("pgd", "ddn"):
        found.pop(name)
    alone = found["ant_1x1"].model_copy(
        update={"pretraining_steps": ALONE_STEPS, "reset_interval": 1.0}
    )
    return found | {
        "free": FreeAT(), "uat": UAT(step_size=0.01), "a step of pgd": PGD(steps=ATTACK_STEPS),
        "a step of ddn": DDN(steps=ATTACK_STEPS), "generator alone": alone,
    }  # fmt: skip


def digits() -> Iterator[Row]:
    """Steps of every method on digits."""
    yield from rows_of(DIGITS, methods_of("mnist"), FORMS)


def cifar() -> Iterator[Row]:
    """Steps of every method on CIFAR-10."""
    yield from rows_of(CIFAR, methods_of("cifar10"), FORMS)


def photos() -> Iterator[Row]:
    """Steps on photos, beside a plain PyTorch loop (channels_last, autocast, fused SGD)."""
    methods = methods_of("cifar10")
    wanted = {name: methods[name] for name in ("vanilla", "gnt", "ant_1x1", "augmix")}
    for case in PHOTOS:
        images = case.images()
        for precision in ("fp32", "bf16"):
            yield {"case": case.name, "method": "plain loop, no noise", "form": precision,
                   "ms": plain_loop_ms(case, images, precision == "bf16")}  # fmt: skip
        del images
        yield from rows_of(case, wanted, FORMS)
        if IS_GPU:
            compiled = {"compiled bf16": Form("bf16", is_compiled=True)}
            yield from rows_of(case, {"gnt": wanted["gnt"]}, compiled)


def plain_loop_ms(case: Case, images: LabelledImages, bf16: bool) -> float:
    """Return what a step of the tutorials' loop takes, on images in the device's memory."""
    model, seconds = case.network().train(), []
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    for _ in range(3):
        started = time.perf_counter()
        for index in torch.randperm(len(images), device=DEVICE).split(case.batch):
            pixels = images.images[index].float().div_(255)
            if IS_GPU:
                pixels = pixels.contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE, torch.bfloat16, enabled=bf16):
                logits = model(pixels)
            sgd.zero_grad()
            nn.functional.cross_entropy(logits.float(), images.labels[index]).backward()
            sgd.step()
        wait()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[1:]) / case.steps
