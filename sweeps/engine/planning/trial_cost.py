"""What a trial costs by what is measured now: its time on this machine, its bytes on storage."""

import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gon_core.config import (
    ANT,
    DDN,
    PGD,
    AugMix,
    DataConfig,
    EvaluationConfig,
    Given,
    Trained,
    TrainingConfig,
    TrialConfig,
)
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import VALIDATION_METRIC, TrialResult, result
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system import machine

if TYPE_CHECKING:
    from torch import nn

EVALUATION_SHARE = 0.35  # of a training step: forward only, and no noise
STARTUP_SECONDS = 20  # Ray, the first workers, the report
# Images of which the speed is measured: a GPU shows its own only once it is kept busy.
TIMED_IMAGES = {"cpu": 300, "cuda": 6000}
TIMED_BATCH = 250
EPOCH = {  # an entry of a trial's history; all digits of a float are written
    name: 1 / 3
    for name in ("epoch", "train_loss", "train_accuracy", "learning_rate", "seconds",
                 VALIDATION_METRIC, "validation_seconds")
}  # fmt: skip


@dataclass(frozen=True)
class Shares:
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


# On a GPU this small network waits for its kernels to be launched, so that many small operations
# cost more than what is computed in them: see benchmarks/README.md.
SHARES = {"cpu": Shares(1.0, 1.0, 0.8, 2.5), "cuda": Shares(3.0, 2.0, 0.95, 9.8)}


@dataclass(frozen=True)
class Speed:
    """Seconds per image on one slot, in training and in evaluation."""

    train: float
    evaluate: float

    @classmethod
    def from_training(cls, seconds_per_image: float) -> "Speed":
        """Estimate both from training alone."""
        return cls(seconds_per_image, EVALUATION_SHARE * seconds_per_image)


def measure_speed(resources: Resources, training: TrainingConfig, data: DataConfig) -> Speed:
    """Time a few steps on random images, in this process; half a second on a CPU."""
    import torch

    from gon_core.config import Vanilla
    from gon_core.data.splits import LabelledImages
    from gon_core.evaluation import count_correct
    from gon_core.training import new_state, train

    threads = torch.get_num_threads()
    torch.set_num_threads(resources.cpus)
    count = TIMED_IMAGES[resources.device]
    benchmark = data.benchmark
    blank = torch.zeros(count, *benchmark.image_shape, dtype=torch.uint8)
    images = LabelledImages(blank, torch.arange(count) % benchmark.classes).to(resources.device)
    model = benchmark.make_model().to(resources.device)
    short = training.model_copy(update={"max_epochs": 2, "patience": 10})
    epochs = list(train(new_state(model, short, 0), images, Vanilla(), short))
    started = time.perf_counter()
    count_correct(model, images, training.precision == "bf16")
    evaluate = time.perf_counter() - started
    torch.set_num_threads(threads)
    return Speed(train=epochs[-1].seconds / count, evaluate=evaluate / count)


def trial_seconds(plan: Plan, speed: Speed) -> float:
    """Return the mean wall time of trials that spend their whole budget of epochs."""
    data, epochs = plan.config.data, plan.config.training.max_epochs
    images = data.images_of_an_epoch
    images_trained = images * epochs
    images_trained += statistics.fmean(
        further_images(method, plan.config.training, images, plan.resources.device)
        for method in plan.known_methods
    )
    shared = images_trained / plan.resources.processes  # the rest is done by one process
    validated = data.validation_images * epochs
    after = after_training_seconds(plan, speed)
    return shared * speed.train + validated * speed.evaluate + after


def after_training_seconds(plan: Plan, speed: Speed) -> float:
    """Return the wall time of what is measured of a trial's final model."""
    data, shares = plan.config.data, SHARES[plan.resources.device]
    return sum(measured_seconds(speed, shares, data, plan.config.evaluation))


def seconds_per_image(plan: Plan, config: TrialConfig, epoch: float) -> float:
    """Return what an image of plain training takes, where an epoch of a trial takes ``epoch``."""
    images = plan.config.data.images_of_an_epoch
    training, method = config.training, config.method
    assert not isinstance(method, Given), "weights that are given are not trained"
    device = plan.resources.device
    further = further_images(method, training, images, device) / training.max_epochs
    return epoch * plan.resources.processes / (images + further)


def further_images(
    method: Trained, training: TrainingConfig, images: int, device: str = "cpu"
) -> float:
    """Return how many images of plain training a trial costs beside those that it trains on.

    Args:
        method: ANT has a generator's steps, adversarial training its attacks, AugMix its mixtures.
        training: batch size and budget of epochs.
        images: of an epoch.
        device: ``cpu`` or ``cuda``.
    """
    shares = SHARES[device]
    if isinstance(method, PGD | DDN):
        return shares.gradient * method.steps * images * training.max_epochs
    if isinstance(method, AugMix):
        return shares.mixtures * images * training.max_epochs
    if not isinstance(method, ANT):
        return 0.0
    interval = method.reset_interval
    fresh = 1 if interval == "never" else math.ceil(training.max_epochs / interval - 1e-9)
    alone = fresh * method.pretraining_steps * training.batch_size
    return shares.adversary * images * training.max_epochs + shares.alone * alone


def start_seconds(plan: Plan, speed: Speed) -> float:
    """Return the wall time of the vanilla model that trials start from, if it converges late."""
    images = plan.config.data.images_of_an_epoch
    return images * plan.config.start.training.max_epochs * speed.train


@dataclass(frozen=True)
class TimeEstimate:
    """What a trial takes that spends all its epochs; one that converges early takes less.

    Attributes:
        trial: seconds, the mean over the plan's methods.
        start: seconds of the vanilla model that trials start from.
        source: how that is known, in words.
    """

    trial: float
    start: float
    source: str


def measured_time(plan: Plan) -> TimeEstimate | None:
    """Return the estimate by a few steps on this machine; None if trials run on another device."""
    on_gpu = plan.resources.device == "cuda"
    if on_gpu and not machine.gpu_count():
        return None
    speed = measure_speed(plan.resources, plan.config.training, plan.config.data)
    device = device_names(plan)[0] if on_gpu else "this machine's CPU"
    sharing = sharing_a_gpu(plan.resources)
    said = ""
    if sharing > 1:
        said = f", {sharing} times as long as alone for each of the {sharing} that share it"
    return TimeEstimate(
        sharing * trial_seconds(plan, speed),  # less where one of them leaves the GPU idle
        start_seconds(plan, speed),
        f"by the speed measured now on {device}{said}",
    )


def sharing_a_gpu(resources: Resources) -> int:
    """Return how many trials at a time share a GPU at most; 1 where each has one or more, or none.

    Args:
        resources: of a trial, and how many of them run at a time.
    """
    if resources.device != "cuda" or resources.gpus >= 1:
        return 1
    return min(math.floor(1 / resources.gpus + 1e-9), resources.slots)


def device_names(plan: Plan) -> list[str]:
    """Return how records name the devices of this machine that trials of ``plan`` run on."""
    if plan.resources.device == "cpu":
        return [f"cpu, {plan.resources.cpus} thread(s)"]
    if not machine.gpu_count():
        return []
    import torch

    return [torch.cuda.get_device_name()]


class ModelSeconds(NamedTuple):
    """Seconds that one model takes.

    Attributes:
        sure: for all but the noise generators of epsilon*.
        generators: for these, at most: each ends as soon as it has converged.
    """

    sure: float
    generators: float


def evaluation_seconds(
    model: "nn.Module", data: DataConfig, config: EvaluationConfig
) -> ModelSeconds:
    """Return what measuring a given model on the CPU takes, by its own speed.

    Args:
        model: on the CPU.
        data: which images, and how many.
        config: what is measured.
    """
    speed = speed_of(model, data.benchmark.image_shape)
    return measured_seconds(speed, SHARES["cpu"], data, config)


def measured_seconds(
    speed: Speed, shares: Shares, data: DataConfig, config: EvaluationConfig
) -> ModelSeconds:
    """Return what measuring a model takes, see ``evaluation_seconds``."""
    from gon_core.evaluation.measure import total_passes  # slow: it loads torch

    images, suites = data.test_images, data.benchmark.suites
    accuracies = (len(suites["validation"].versions) + 1) * data.validation_images
    accuracies += (len(suites["test"].versions) + 1) * images
    passes = total_passes(config, min(config.images or images, images), data.benchmark)
    sure = shares.gradient * passes.gradient * speed.train
    sure += (accuracies + passes.forward) * speed.evaluate
    return ModelSeconds(sure, shares.alone * passes.generator * speed.train)


def speed_of(model: "nn.Module", image_shape: tuple[int, int, int]) -> Speed:
    """Return seconds per image of a step of training, and of classifying; under a second on a CPU.

    Args:
        model: on the CPU.
        image_shape: channels, height and width of its images.
    """
    import torch

    images = torch.zeros(TIMED_BATCH, *image_shape)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def step() -> None:
        torch.autograd.grad(model(images).logsumexp(1).sum(), parameters)

    with torch.no_grad():
        evaluate = _seconds(lambda: model(images))
    return Speed(train=_seconds(step) / TIMED_BATCH, evaluate=evaluate / TIMED_BATCH)


def _seconds(run: Callable[[], object]) -> float:
    run()  # the first call has to find its memory
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class StorageNeed(NamedTuple):
    """Bytes of one trial: of the largest of the plan's methods.

    Attributes:
        checkpoint: of one checkpoint, of which two are kept while the trial runs.
        finished: of what stays when it has ended: its final model and its result.
    """

    checkpoint: int
    finished: int


def measure_storage(plan: Plan) -> StorageNeed:
    """Return what a trial takes, by dumping the state of a training of each method."""
    methods = {method.method: method for method in plan.known_methods}  # one of each kind
    needs = {kind: _need(plan, method) for kind, method in methods.items()}
    return StorageNeed(*(max(sizes) for sizes in zip(*needs.values(), strict=True)))


def _need(plan: Plan, method: Trained) -> StorageNeed:
    import torch

    from gon_core.training import checkpoints, new_state

    config = plan.configure(method, plan.config.seeds[0])
    benchmark = config.data.benchmark
    model = benchmark.make_model(config.model)
    state = new_state(model, config.training, config.seed, method, benchmark.image_shape[0])
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step()  # momentum is there from the first step on
    files = checkpoints.dump(state)
    epochs = config.training.max_epochs
    history = [EPOCH] * epochs
    ended = TrialResult(
        trial_id=config.trial_id, config=config, status="max_epochs", history=history
    )
    return StorageNeed(
        checkpoint=sum(map(len, files.values())) + len(json.dumps(history)),
        finished=len(files[checkpoints.MODEL]) + len(result.dump(ended)),
    )
