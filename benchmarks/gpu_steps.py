"""Steps of training on a GPU, for ``gpu.py``: of every method, in every form; a plain loop."""

import logging
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from gon_core import architectures, seeding
from gon_core import benchmarks as data_sets
from gon_core.benchmarks import image_folder
from gon_core.config import ANT, DDN, PGD, UAT, FreeAT, TrainingConfig
from gon_core.data import idx
from gon_core.data.splits import LabelledImages
from gon_core.training import EpochMetrics, new_state, train
from gon_core.training.runner import EagerRunner

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
IS_GPU = DEVICE == "cuda"
LACKING = (float("nan"), float("nan"))  # no milliseconds: rows leave them out
Row = dict[str, Any]


class Form(NamedTuple):
    """How steps are run: in which precision, and whether one operation after the other."""

    precision: Any = "fp32"
    is_eager: bool = False
    is_compiled: bool = False


EAGER = Form(is_eager=True)
FORMS = {"eager fp32": EAGER, "eager bf16": Form("bf16", is_eager=True)}
FORMS_OF_PHOTOS = {"eager fp32": EAGER}  # the fewest: their steps take long
if IS_GPU:
    FORMS |= {"graph fp32": Form(), "graph tf32": Form("tf32"), "graph bf16": Form("bf16")}
    FORMS_OF_PHOTOS |= {"graph fp32": Form(), "graph bf16": Form("bf16")}


class Case(NamedTuple):
    """What is trained on what, with made-up images but for digits.

    Attributes:
        data: in words.
        model: the classifier.
        shape: of an image.
        batch: images in it.
        steps: of an epoch, of which five are trained.
        attack_steps: of each attack that is timed.
        alone_steps: of a generator that trains alone, for each epoch.
    """

    data: str
    model: str
    shape: tuple[int, int, int]
    batch: int
    steps: int
    attack_steps: int = 2
    alone_steps: int = 2

    @property
    def name(self) -> str:
        """In words, with its batch."""
        return f"{self.data}, batch {self.batch}"

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


CIFAR_IMAGES = "CIFAR-10, PreActResNet-18", "preactresnet18", (3, 32, 32)
PHOTO_IMAGES = "224 px, ResNet-50", "resnet50", (3, 224, 224)
SMALL_IMAGES = "64 px, ResNet-18", "resnet18", (3, 64, 64)
if IS_GPU:
    DIGITS = Case("MNIST", "madry_cnn", (1, 28, 28), 300, 60, 10, 50)
    CIFAR = Case(*CIFAR_IMAGES, 128, 40, 10, 50)
    PHOTOS_70 = Case(*PHOTO_IMAGES, 70, 10, 3, 10)
    PHOTOS_256 = Case(*PHOTO_IMAGES, 256, 4, 3, 10)
else:
    DIGITS = Case("MNIST", "madry_cnn", (1, 28, 28), 300, 2)
    CIFAR = Case(*CIFAR_IMAGES, 8, 2)
    PHOTOS_70 = PHOTOS_256 = Case(*SMALL_IMAGES, 4, 2)


def epochs_of(
    case: Case, images: LabelledImages, method: Any, form: Form, epochs: int = 5
) -> Iterator[EpochMetrics]:
    """Return a training, which yields the metrics of each epoch.

    Where the method wants stylised images as a second source, negatives take their place.
    """
    own_images = None
    if isinstance(method, ANT) and method.uses_stylized:
        own_images, both = len(images), torch.cat([images.images, 255 - images.images])
        images = LabelledImages(both, images.labels.repeat(2))
    config = TrainingConfig(
        batch_size=case.batch, max_epochs=epochs, patience=10**6, precision=form.precision,
        compiled=form.is_compiled,
    )  # fmt: skip
    state = new_state(
        case.network(), config, 0, method, channels=case.shape[0], own_images=own_images
    )
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


class Notes(logging.Handler):
    """Keeps what is logged meanwhile, such as that no graph was recorded."""

    def __enter__(self) -> list[str]:
        """Begin, and return what it keeps."""
        self._found: list[str] = []
        logging.getLogger("gon_core").addHandler(self)
        return self._found

    def __exit__(self, *error: object) -> None:
        """End."""
        logging.getLogger("gon_core").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self._found.append(record.getMessage())


def rows_of(case: Case, methods: dict[str, Any], forms: dict[str, Form]) -> Iterator[Row]:
    """Yield a row for each method and form; attacks and generators alone by the step of each."""
    images = case.images()
    plain: dict[str, tuple[float, float]] = {}  # steps without an attack, by form
    for name, method in methods.items():
        for words, form in forms.items():
            ms, computing = LACKING
            with Notes() as notes:
                try:
                    ms, computing = step_ms(case, images, method, form)
                    if name == "vanilla":
                        plain[words] = ms, computing
                    before, count = (0.0, 0.0), 1.0
                    if isinstance(method, PGD | DDN):
                        before, count = plain.get(words, LACKING), method.steps
                    elif name == "generator alone":
                        # As many steps of both networks, once without those alone.
                        other = method.model_copy(update={"pretraining_steps": 0})
                        before = step_ms(case, images, other, form)
                        count = case.alone_steps / case.steps
                    ms, computing = (ms - before[0]) / count, (computing - before[1]) / count
                except torch.OutOfMemoryError:
                    ms, computing = LACKING
                    notes.append("out of memory")
            yield {"case": case.name, "method": name, "form": words, "ms": ms,
                   "computing": computing, "busy": computing / ms,
                   "note": "; ".join(dict.fromkeys(notes))}  # fmt: skip


def methods_of(case: Case, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return methods to time, by name: plain training first; attacks with few steps."""
    left_out = ("pgd", "pgd_targeted", "ddn", "ant_1x1_without_replay", "ant_3x3_sin")
    found = {"vanilla": known["vanilla"]}
    found |= {name: method for name, method in known.items() if name not in left_out}
    for name, method in found.items():
        if isinstance(method, ANT):  # a generator is replayed
            changes = {"pretraining_steps": 0, "reset_interval": 0.5}
            found[name] = method.model_copy(update=changes)
    alone = found["ant_1x1"].model_copy(
        update={"pretraining_steps": case.alone_steps, "reset_interval": 1.0}
    )
    return found | {
        "free": FreeAT(), "uat": UAT(step_size=0.01), "a step of pgd": PGD(steps=case.attack_steps),
        "a step of ddn": DDN(steps=case.attack_steps), "generator alone": alone,
    }  # fmt: skip


def digits() -> Iterator[Row]:
    """Steps of every method on digits."""
    yield from rows_of(DIGITS, methods_of(DIGITS, data_sets.get("mnist").methods), FORMS)


def cifar() -> Iterator[Row]:
    """Steps of every method on CIFAR-10."""
    yield from rows_of(CIFAR, methods_of(CIFAR, data_sets.get("cifar10").methods), FORMS)


ATTACKS = ("augmix", "free", "uat", "a step of pgd", "a step of ddn")  # on photos, for long


def photos_70() -> Iterator[Row]:
    """Steps on photos in batches of 70, beside a plain loop with torch's own settings."""
    yield from of_photos(PHOTOS_70)


def photos_70_attacks() -> Iterator[Row]:
    """Steps on photos in batches of 70, of AugMix and of adversarial training."""
    yield from of_photos(PHOTOS_70, attacks=True)


def photos_256() -> Iterator[Row]:
    """Steps on photos in batches of 256, beside a plain loop with torch's own settings."""
    yield from of_photos(PHOTOS_256)


def photos_256_attacks() -> Iterator[Row]:
    """Steps on photos in batches of 256, of AugMix and of adversarial training."""
    yield from of_photos(PHOTOS_256, attacks=True)


def of_photos(case: Case, attacks: bool = False) -> Iterator[Row]:
    """Yield the rows of a half of the methods."""
    methods = methods_of(case, image_folder.methods(case.shape[1]))
    wanted = {name: method for name, method in methods.items() if (name in ATTACKS) == attacks}
    if attacks:
        yield from rows_of(case, {"vanilla": methods["vanilla"]} | wanted, FORMS_OF_PHOTOS)
        return
    images = case.images()
    fp32 = "fp32, convolutions in tf32" if IS_GPU else "fp32"
    for words, bf16 in ((fp32, False), ("bf16", True)):
        yield {"case": case.name, "method": "plain loop, no noise", "form": words,
               "ms": plain_loop_ms(case, images, bf16)}  # fmt: skip
    yield from rows_of(case, wanted, FORMS_OF_PHOTOS)
    further = {words: form for words, form in FORMS.items() if words not in FORMS_OF_PHOTOS}
    if IS_GPU:
        further["compiled bf16"] = Form("bf16", is_compiled=True)
    yield from rows_of(case, {"gnt": wanted["gnt"]}, further)


@contextmanager
def torchs_defaults() -> Iterator[None]:
    """Let torch choose kernels as it does by itself: convolutions in tf32, bits that may vary."""
    cudnn: Any = torch.backends.cudnn
    ours = torch.are_deterministic_algorithms_enabled()
    before = cudnn.deterministic, cudnn.allow_tf32
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.allow_tf32 = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(ours)
        cudnn.deterministic, cudnn.allow_tf32 = before


@torchs_defaults()
def plain_loop_ms(case: Case, images: LabelledImages, bf16: bool) -> float:
    """Return what a step of the tutorials' loop takes, on images in the device's memory."""
    model, seconds = case.network().train(), []
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    for _ in range(4):
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
