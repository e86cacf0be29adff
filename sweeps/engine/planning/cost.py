"""What trials cost, by the speed measured on this machine."""

import math
import statistics
import time
from dataclasses import dataclass

from gon_core.config import (
    ANT,
    DDN,
    HELD_OUT,
    PGD,
    TRAINING_SET,
    AugMix,
    EvaluationConfig,
    Given,
    Trained,
    TrainingConfig,
    TrialConfig,
)
from sweeps.engine.planning.plan import Plan, Resources

CORRUPTIONS = 15
EVALUATION_SHARE = 0.35  # of a training step: forward only, and no noise
STARTUP_SECONDS = 20  # Ray, the first workers, the report
# Images of which the speed is measured: a GPU shows its own only once it is kept busy.
TIMED_IMAGES = {"cpu": 300, "cuda": 6000}


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


def measure_speed(resources: Resources, training: TrainingConfig) -> Speed:
    """Time a few steps on random images, in this process; half a second on a CPU."""
    import torch

    from gon_core.config import Vanilla
    from gon_core.data.splits import LabelledImages
    from gon_core.evaluation import count_correct
    from gon_core.models import MadryCNN
    from gon_core.training import new_state, train

    threads = torch.get_num_threads()
    torch.set_num_threads(resources.cpus)
    count = TIMED_IMAGES[resources.device]
    images = torch.zeros(count, 28, 28, dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(count) % 10).to(resources.device)
    model = MadryCNN().to(resources.device)
    short = training.model_copy(update={"max_epochs": 2, "patience": 10})
    epochs = list(train(new_state(model, short, 0), data, Vanilla(), short))
    started = time.perf_counter()
    count_correct(model, data, training.precision == "bf16")
    evaluate = time.perf_counter() - started
    torch.set_num_threads(threads)
    return Speed(train=epochs[-1].seconds / count, evaluate=evaluate / count)


def trial_seconds(plan: Plan, speed: Speed) -> float:
    """Return the mean wall time of trials that spend their whole budget of epochs."""
    data, epochs = plan.config.data, plan.config.training.max_epochs
    images = data.training_images or TRAINING_SET - HELD_OUT
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
    data = plan.config.data
    trained, evaluated = measured_images(
        plan.config.evaluation, data.test_images, plan.resources.device
    )
    evaluated += (CORRUPTIONS + 1) * (data.validation_images + data.test_images)
    return trained * speed.train + evaluated * speed.evaluate


def seconds_per_image(plan: Plan, config: TrialConfig, epoch: float) -> float:
    """Return what an image of plain training takes, where an epoch of a trial takes ``epoch``."""
    images = plan.config.data.training_images or TRAINING_SET - HELD_OUT
    training, method = config.training, config.method
    assert not isinstance(method, Given), "weights that are given are not trained"
    device = plan.resources.device
    further = further_images(method, training, images, device) / training.max_epochs
    return epoch * plan.resources.processes / (images + further)


def measured_images(
    evaluation: EvaluationConfig, test_images: int, device: str = "cpu"
) -> tuple[float, float]:
    """Return how many images of plain training, and of evaluation, the further measures cost."""
    shares = SHARES[device]
    images = min(evaluation.images or test_images, test_images)
    from gon_core.evaluation.measure import total_passes  # slow: it loads torch

    passes = total_passes(evaluation, images)
    trained = shares.gradient * passes.gradient + shares.alone * passes.generator
    return trained, passes.forward


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
    images = plan.config.data.training_images or TRAINING_SET - HELD_OUT
    return images * plan.config.start.training.max_epochs * speed.train
