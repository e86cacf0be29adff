"""How long an evaluation of given models takes, by the speed of each, measured before it begins."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from gon_core.config import EvaluationConfig
from gon_core.evaluation.measure import total_passes
from sweeps.engine.planning.cost import CORRUPTIONS, SHARES, Speed
from sweeps.engine.system.text import duration
from sweeps.engine.trials.measures import TrialData

BATCH = 250


class Cost(NamedTuple):
    """Seconds that one model takes.

    Attributes:
        sure: for all but the noise generators of epsilon*.
        generators: for these, at most: each ends as soon as it has converged.
    """

    sure: float
    generators: float


def expected(model: nn.Module, data: TrialData, config: EvaluationConfig) -> Cost:
    """Return what measuring a model takes, see ``measures.measure``."""
    speed = speed_of(model)
    images = len(data.test.labels)
    accuracies = (CORRUPTIONS + 1) * (images + len(data.validation.labels))
    passes, shares = total_passes(config, min(config.images or images, images)), SHARES["cpu"]
    gradients = shares.gradient * passes.gradient * speed.train
    sure = gradients + (accuracies + passes.forward) * speed.evaluate
    return Cost(sure, shares.alone * passes.generator * speed.train)


def speed_of(model: nn.Module) -> Speed:
    """Return seconds per image of a step of training, and of classifying; under a second on a CPU.

    Args:
        model: for images of MNIST, on the CPU.
    """
    images = torch.zeros(BATCH, 1, 28, 28)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def step() -> None:
        torch.autograd.grad(model(images).logsumexp(1).sum(), parameters)

    with torch.no_grad():
        evaluate = _seconds(lambda: model(images))
    return Speed(train=_seconds(step) / BATCH, evaluate=evaluate / BATCH)


def _seconds(run: Callable[[], object]) -> float:
    run()  # the first call has to find its memory
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def cost_text(costs: Sequence[Cost]) -> str:
    """Return how long all models take together, in words."""
    sure, generators = (sum(part) for part in zip(*costs, strict=True))
    count = len(costs)
    models = "1 model" if count == 1 else f"{count} models"
    text = f"{models} to measure: about {duration(sure)} by the speed measured now"
    if generators < 1:
        return f"{text}."
    return (
        f"{text}, and at most {duration(generators)} more for the noise generators of epsilon*, "
        "which end as soon as they have converged (--generator-steps limits them)."
    )
