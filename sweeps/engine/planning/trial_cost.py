"""What one trial costs: its time, by earlier trials or a speed measured now, and its bytes."""

import copy
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from gon_core import architectures
from gon_core.config import (
    ANT,
    DDN,
    PGD,
    SININ,
    AugMix,
    DataConfig,
    EvaluationConfig,
    FreeAT,
    Given,
    OwnFunction,
    Trained,
    TrainingConfig,
    TrialConfig,
)
from sweeps.engine.planning.earlier_sweeps import TimeEstimate, gpu_name, recorded_time
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system import machine

if TYPE_CHECKING:
    from torch import Tensor, nn

EVALUATION_SHARE = 0.35  # of a training step: forward only, and no noise
# Images of which the speed is measured: a GPU shows its own only once it is kept busy.
TIMED_IMAGES = {"cpu": 300, "cuda": 6000}
LARGE = 224  # pixels of a side, from which on steps beside the classifier's are derived
SMALL, LEAST_TIMED = 32 * 32, {"cpu": 8, "cuda": 600}  # pixels; images, where they are larger
RESULT_BYTES, EPOCH_BYTES = 800, 284  # of a result, and of each epoch in its history


class Shares(NamedTuple):
    """What costs how much, in steps of plain training with as many images.

    Attributes:
        adversary: what a step of ANT takes beside the classifier's: its generators.
        alone: a step in which a fresh generator is trained alone.
        gradient: a step of an attack: no gradients of weights, no update.
        mixtures: what a step of AugMix takes beside the classifier's on clean images.
    """

    adversary: float
    alone: float
    gradient: float
    mixtures: float


# Measured with MNIST's network. On a GPU it waits for its kernels to be launched, so that many
# small operations cost more than what is computed in them: see benchmarks/README.md. Those of a GPU
# are of an H200 without graphs; with graphs they were not measured yet.
SHARES = {"cpu": Shares(1.0, 1.0, 0.8, 2.5), "cuda": Shares(3.0, 2.0, 0.95, 9.8)}


@dataclass(frozen=True)
class Speed:
    """Seconds per image of one trial at a time, in training and in evaluation."""

    train: float
    evaluate: float

    @classmethod
    def from_training(cls, seconds_per_image: float) -> "Speed":
        """Estimate both from training alone."""
        return cls(seconds_per_image, EVALUATION_SHARE * seconds_per_image)


def estimate_time(
    plan: Plan, storage: Folder, images_per_second: float | None = None
) -> TimeEstimate | None:
    """Return what a trial of ``plan`` takes; None if nothing is known of its device.

    Args:
        plan: of the trials.
        storage: where earlier ones are recorded.
        images_per_second: what a vanilla trial trains on, alone on its device, if that is given.
    """
    if images_per_second is not None:
        return given_time(plan, images_per_second)
    return recorded_time(plan, storage) or measured_time(plan)


def given_time(plan: Plan, images_per_second: float) -> TimeEstimate:
    """Return the estimate by how many images a second a vanilla trial trains on, as was given."""
    speed = Speed.from_training(1 / images_per_second)
    sharing, device = _sharing(plan.resources), ""
    if sharing > 1:
        device = f", {_shared(sharing)}"
    source = f"by the given {images_per_second:g} images a second{device}: not measured"
    if not plan.resources.gpus:
        source += ", and of trials on CPUs (core-hours; for GPU-hours add --gpus-per-trial 1)"
    return _by_speed(plan, dict.fromkeys(plan.models, speed), source)


def measured_time(plan: Plan) -> TimeEstimate | None:
    """Return the estimate by a few steps on this machine; None if trials run on another device."""
    resources, config, device = plan.resources, plan.config, "this machine's CPU"
    if resources.device == "cuda":
        if not machine.gpu_count():
            return None
        device = gpu_name()
    if (sharing := _sharing(resources)) > 1:
        device += f", {_shared(sharing)}"
    make = config.data.benchmark.make_model
    speeds = {
        name: measure_speed(make(name), config.data, config.training, resources)
        for name in plan.models
    }
    return _by_speed(plan, speeds, f"by the speed measured now on {device}")


def _sharing(resources: Resources) -> int:
    """Return how many trials share a device at a time."""
    if resources.device == "cpu":
        return 1
    fit = math.floor(1 / resources.gpus + 1e-9)  # on one GPU
    return max(1, min(fit, resources.max_concurrent))


def _shared(sharing: int) -> str:
    # They take less where one of them leaves the GPU idle.
    return f"{sharing} times as long as alone for each of the {sharing} that share it"


def _by_speed(plan: Plan, speeds: Mapping[str, Speed], source: str) -> TimeEstimate:
    start = sum(
        each.data.images_of_an_epoch * each.training.max_epochs * speeds[each.model].train
        for each in plan.starts
    )
    sharing = _sharing(plan.resources)
    points = tuple(sharing * seconds for seconds in _seconds_by_point(plan, speeds))
    source += derived_words(plan.config.data, [method for method, _, _ in plan.typical_trials])
    return TimeEstimate(statistics.fmean(points), start, source, points)


def measure_speed(
    model: "nn.Module", data: DataConfig, training: TrainingConfig, resources: Resources
) -> Speed:
    """Time a few steps of a copy of ``model`` on blank images; half a second on a CPU."""
    import torch

    from gon_core.config import Vanilla
    from gon_core.data.splits import LabelledImages
    from gon_core.evaluation import count_correct
    from gon_core.training import new_state, train
    from gon_core.training.recordings import TRIES

    threads = torch.get_num_threads()
    torch.set_num_threads(resources.cpus)
    benchmark, count = data.benchmark, TIMED_IMAGES[resources.device]
    size = math.prod(benchmark.image_shape[1:])
    count = min(count, max(LEAST_TIMED[resources.device], count * SMALL // size))
    blank = torch.zeros(count, *benchmark.image_shape, dtype=torch.uint8)
    images = LabelledImages(blank, torch.arange(count) % benchmark.classes).to(resources.device)
    model = copy.deepcopy(model).to(resources.device)
    # The first steps are slower, on a GPU until the last batch of an epoch was recorded as well.
    epochs_timed = {"cpu": 2, "cuda": TRIES + 2}[resources.device]
    short = training.model_copy(update={"max_epochs": epochs_timed, "patience": 10})
    epochs = list(train(new_state(model, short, 0), images, Vanilla(), short))
    started = time.perf_counter()
    count_correct(model, images, training.precision == "bf16")
    evaluate = time.perf_counter() - started
    torch.set_num_threads(threads)
    return Speed(train=epochs[-1].seconds / count, evaluate=evaluate / count)


def trial_seconds(plan: Plan, speeds: Mapping[str, Speed]) -> float:
    """Return the mean wall time of trials that spend all their epochs, by the speed of models."""
    return statistics.fmean(_seconds_by_point(plan, speeds))


def _seconds_by_point(plan: Plan, speeds: Mapping[str, Speed]) -> list[float]:
    data, device = plan.config.data, plan.resources.device
    images, found = data.images_of_an_epoch, []
    for method, training, model in plan.typical_trials:
        shares = shares_of(data, model, method, device)
        speed, further = speeds[model], further_images(method, training, images, shares)
        # Of several processes each trains on its share; one does the rest.
        trained = (images + further) * training.max_epochs / plan.resources.processes
        validated = data.validation_images * training.max_epochs
        after = sum(evaluation_seconds(speed, device, data, plan.config.evaluation))
        found.append(trained * speed.train + validated * speed.evaluate + after)
    return found


def after_training(plan: Plan, config: TrialConfig, epoch: float) -> float:
    """Return the seconds that a trial needs after its last epoch, by those of training in one."""
    data, device, method = plan.config.data, plan.resources.device, config.method
    assert not isinstance(method, Given), "weights that are given are not trained"
    images = data.images_of_an_epoch
    shares = shares_of(data, str(config.model), method, device)
    images += further_images(method, config.training, images, shares)
    speed = Speed.from_training(epoch * plan.resources.processes / images)
    return sum(evaluation_seconds(speed, device, data, plan.config.evaluation))


def shares_of(
    data: DataConfig, model: str, method: Trained | OwnFunction | None, device: str
) -> Shares:
    """Return the shares of a training: measured with a small network, or derived for large images.

    There the time goes into multiply-adds. A step of plain training has three parts as large as a
    forward pass, an attack's gradient two of them, and so has a step of a noise generator, beside
    the three of its own; the noisy part of the batch then passes it once more. Mixtures stay as
    measured.
    """
    shares, benchmark = SHARES[device], data.benchmark
    if not is_derived(data) or architectures.is_from_outside(model):
        return shares
    own, noisy = 0.0, 0.0
    if isinstance(method, ANT):
        noisy, shape = 1 - method.clean_share, benchmark.image_shape
        of_generator = _flops_of_generator(shape, method.depth, method.kernel_size)
        own = of_generator / _flops_of_model(model, benchmark.classes, shape)
    alone = (2 + 3 * own) / 3
    return shares._replace(gradient=2 / 3, alone=alone, adversary=alone + noisy * own / 3)


def is_derived(data: DataConfig) -> bool:
    """Whether images are so large that shares are derived, not measured; see ``shares_of``."""
    return data.benchmark.image_shape[-1] >= LARGE


def derived_words(data: DataConfig, methods: Sequence[Trained | OwnFunction]) -> str:
    """Return how the price of steps beside the classifier's is known, if it is derived."""
    if not is_derived(data) or not any(isinstance(each, ANT | PGD | DDN) for each in methods):
        return ""
    return "; steps of noise generators and attacks by their multiply-adds, derived, not measured"


@cache
def _flops_of_model(name: str, classes: int, shape: tuple[int, int, int]) -> int:
    import torch

    with torch.device("meta"):
        return _flops(architectures.make(name, classes, shape), torch.empty(1, *shape))


@cache
def _flops_of_generator(shape: tuple[int, int, int], depth: int, kernel_size: int) -> int:
    import torch

    from gon_core.noise import NoiseGenerator

    channels, height, width = shape
    with torch.device("meta"):
        generator = NoiseGenerator(channels, depth, kernel_size)
        margin = 2 * generator.margin
        noise = torch.empty(1, channels, height + margin, width + margin)
        return _flops(generator, noise)


def _flops(model: "nn.Module", images: "Tensor") -> int:
    """Return what a forward pass of images takes, counted on tensors without values."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.to(images.device).eval()(images)
    return counter.get_total_flops()


def further_images(
    method: Trained | OwnFunction, training: TrainingConfig, images: int, shares: Shares
) -> float:
    """Return how many images of plain training an epoch costs beside its own ``images``.

    ANT has a generator's steps, adversarial training its attacks, AugMix its mixtures. What a
    user's own function does is not known: it is taken for plain training.
    """
    match method:
        case PGD() | DDN():
            return shares.gradient * method.steps * images
        case FreeAT():
            return (method.replays - 1) * images
        case SININ():
            return images  # their stylised versions
        case AugMix():
            return shares.mixtures * images
        case ANT():
            interval = method.reset_interval
            fresh = 1 if interval == "never" else math.ceil(training.max_epochs / interval - 1e-9)
            alone = fresh * method.pretraining_steps * training.batch_size / training.max_epochs
            return shares.adversary * images + shares.alone * alone
    return 0.0


def evaluation_seconds(
    speed: Speed, device: str, data: DataConfig, config: EvaluationConfig
) -> tuple[float, float]:
    """Return the seconds that measuring a model takes, in two parts.

    The second is for the noise generators of epsilon*, at most: each ends when it has converged.
    """
    from gon_core.evaluation.measure import total_passes  # slow: it loads torch

    shares, images = shares_of(data, "", None, device), data.test_images
    benchmark = data.benchmark.without(config.left_out)
    selection, test = benchmark.validation_suite(config.objective), benchmark.suites["test"]
    accuracies = (len(selection.versions) + 1) * data.validation_images
    accuracies += (len(test.versions) + 1) * images
    passes = total_passes(config, min(config.images or images, images), data.benchmark)
    sure = shares.gradient * passes.gradient * speed.train
    sure += (accuracies + passes.forward) * speed.evaluate
    return sure, shares.alone * passes.generator * speed.train


def storage_bytes(plan: Plan) -> tuple[int, int]:
    """Return the bytes of a checkpoint, and of what stays of a trial: its model and its result.

    They are those of the largest of the plan's methods and models, by dumping the state of a
    training of each.
    """
    import torch

    from gon_core.training import checkpoints, new_state

    config, sizes = plan.config, []
    benchmark, history = config.data.benchmark, EPOCH_BYTES * config.training.max_epochs
    kinds = {(method.method, model): method for method, _, model in plan.typical_trials}
    for (_, name), method in kinds.items():
        model = benchmark.make_model(name)
        state = new_state(model, config.training, 0, method, benchmark.image_shape[0], own_images=1)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        state.optimizer.step()  # momentum is there from the first step on
        files = {name: len(content) for name, content in checkpoints.dump(state).items()}
        sizes.append(
            (sum(files.values()) + history, files[checkpoints.MODEL] + RESULT_BYTES + history)
        )
    checkpoint, finished = map(max, zip(*sizes, strict=True))
    return checkpoint, finished
