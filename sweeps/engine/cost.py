"""What a sweep costs, by the speed measured on this machine, and its plan printed."""

import math
import statistics
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from gon_core.config import (
    ANT,
    DDN,
    HELD_OUT,
    PGD,
    TRAINING_SET,
    AugMix,
    EvaluationConfig,
    Trained,
    TrainingConfig,
)
from search_spaces.parameter import Choice, Real
from sweeps.engine.plan import Plan, Resources
from sweeps.engine.progress import duration, show
from sweeps.engine.records import SweepRecords

CORRUPTIONS = 15
GENERATOR_SHARE = 1.0  # a generator step costs about what a classifier step does
GRADIENT_SHARE = 0.6  # of a training step: no gradients of weights, no update
ATTACK_STEPS = 200  # of both attacks together
GENERATORS, NOISES, SIZE_FORWARDS = 2, 5, 8  # of epsilon*; the forwards are for each image
SEVERITIES = 5
EVALUATION_SHARE = 0.35  # of a training step: forward only, and no noise
STARTUP_SECONDS = 20  # Ray, the first workers, the report


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
    images = torch.zeros(300, 28, 28, dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(300) % 10).to(resources.device)
    model = MadryCNN().to(resources.device)
    short = training.model_copy(update={"max_epochs": 2, "patience": 10})
    epochs = list(train(new_state(model, short, 0), data, Vanilla(), short))
    started = time.perf_counter()
    count_correct(model, data, training.precision == "bf16")
    evaluate = time.perf_counter() - started
    torch.set_num_threads(threads)
    return Speed(train=epochs[-1].seconds / 300, evaluate=evaluate / 300)


def trial_seconds(plan: Plan, speed: Speed) -> float:
    """Return the mean wall time of trials that spend their whole budget of epochs."""
    data, epochs = plan.asked.data, plan.asked.training.max_epochs
    images = data.training_images or TRAINING_SET - HELD_OUT
    points = [*(plan.asked.grid or [tuple(parameter.paper for parameter in plan.question.space)])]
    methods = [plan.question.method_at(point) for point in [*points, *plan.baseline_points]]
    trained = images * epochs
    trained += statistics.fmean(further_images(m, plan.asked.training, images) for m in methods)
    evaluated = (CORRUPTIONS + 1) * (data.validation_images + data.test_images)
    evaluated += data.validation_images * epochs
    measured = measured_images(plan.asked.evaluation, data.test_images)
    trained, evaluated = trained + measured[0], evaluated + measured[1]
    return trained * speed.train + evaluated * speed.evaluate


def measured_images(evaluation: EvaluationConfig, test_images: int) -> tuple[float, float]:
    """Return how many images of plain training, and of evaluation, the further measures cost."""
    images = min(evaluation.images or test_images, test_images)
    trained = evaluated = 0.0
    if "attacks" in evaluation.measures:
        trained += GRADIENT_SHARE * ATTACK_STEPS * images
    if "epsilon_star" in evaluation.measures:
        steps = evaluation.generator_steps * evaluation.generator_blocks
        trained += GENERATOR_SHARE * GENERATORS * steps * evaluation.generator_batch
        evaluated += SIZE_FORWARDS * NOISES * images
    if "severities" in evaluation.measures:
        evaluated += SEVERITIES * CORRUPTIONS * images
    return trained, evaluated


def further_images(method: Trained, training: TrainingConfig, images: int) -> float:
    """Return how many images of plain training a trial costs beside those that it trains on.

    Args:
        method: ANT has a generator's steps, adversarial training its attacks, AugMix its mixtures.
        training: batch size and budget of epochs.
        images: of an epoch.
    """
    if isinstance(method, PGD | DDN):
        return GRADIENT_SHARE * method.steps * images * training.max_epochs
    if isinstance(method, AugMix):
        return 2.0 * images * training.max_epochs
    if not isinstance(method, ANT):
        return 0.0
    interval = method.reset_interval
    fresh = 1 if interval == "never" else math.ceil(training.max_epochs / interval - 1e-9)
    alone = fresh * method.pretraining_steps * training.batch_size
    return GENERATOR_SHARE * (images * training.max_epochs + alone)


def expected_seconds(plan: Plan, speed: Speed, trials: int, start_is_kept: bool = False) -> float:
    """Return the wall time of ``trials`` trials, and of the start, if none converges early."""
    images = plan.asked.data.training_images or TRAINING_SET - HELD_OUT
    start = 0.0 if start_is_kept else images * plan.asked.start.training.max_epochs * speed.train
    rounds = math.ceil(trials / plan.resources.slots)
    return STARTUP_SECONDS + start + rounds * trial_seconds(plan, speed)


def show_plan(
    plan: Plan, speed: Speed, records: SweepRecords, start_is_kept: bool, console: Console
) -> None:
    """Print every trial that would run, what each needs and how long all take."""
    resources = plan.resources
    left = plan.number_of_trials - sum(result.is_final for result in records.results())
    if plan.question.search == "joint":
        console.print(_space_table(plan))
    if plan.known_trials:
        console.print(_trials_table(plan, records))
    seconds = expected_seconds(plan, speed, left, start_is_kept)
    start = "from the vanilla model that is kept" if start_is_kept else "after one vanilla training"
    console.print(
        f"{left} trials to run, {resources.slots} at a time on {resources.device}, {start}: "
        f"about {duration(seconds)} by the speed measured now."
    )
    show_cuts(plan, console)
    console.print("Dry run: nothing was started, nothing was written.")


def _trials_table(plan: Plan, records: SweepRecords) -> Table:
    names, resources = [parameter.name for parameter in plan.question.space], plan.resources
    table = Table(title=f"plan of sweep {plan.name}", title_justify="left")
    for column in ("trial", *names, "seed", "CPUs", "GPUs", "epochs", "record"):
        table.add_column(column, justify="left" if column in ("trial", "record") else "right")
    needs = (str(resources.cpus), f"{resources.gpus:g}", f"<= {plan.asked.training.max_epochs}")
    for config in plan.known_trials:
        result = records.trial(config.trial_id).result()
        values = [show(value) for value in plan.question.point(config.method)]
        values += [""] * (len(names) - len(values))  # a baseline has its name alone
        status = result.status if result else "to run"
        table.add_row(config.trial_id, *values, str(config.seed), *needs, status)
    if proposals := plan.asked.proposals:
        by_optuna = [f"by {plan.asked.sampler}", *[""] * (len(names) - 1)]
        seeds = ", ".join(map(str, plan.asked.seeds))
        label = f"{proposals} proposal{'s' * (proposals > 1)}"
        table.add_row(label, *by_optuna, seeds, *needs, "as found")
    return table


def _space_table(plan: Plan) -> Table:
    title = (
        f"plan of sweep {plan.name}: {plan.asked.proposals} points by {plan.asked.sampler}, "
        f"{len(plan.asked.seeds)} seed{'s' * (len(plan.asked.seeds) > 1)} each"
    )
    table = Table(title=title, title_justify="left")
    for column in ("parameter", "range", "unit", "paper"):
        table.add_column(column)
    for parameter in plan.question.space:
        if isinstance(parameter, Choice):
            values = ", ".join(map(show, parameter.values))
        else:
            values = f"{show(parameter.low)} to {show(parameter.high)}"
            values += ", log" * (isinstance(parameter, Real) and parameter.log)
        table.add_row(parameter.name, values, parameter.unit, show(parameter.paper))
    return table


def show_cuts(plan: Plan, console: Console) -> None:
    """Print what is smaller than in the paper."""
    if plan.cuts:
        console.print(f"Scale {plan.asked.scale} is cut short: {'; '.join(plan.cuts)}.")
