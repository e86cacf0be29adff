"""What a sweep costs, by the speed measured on this machine, and its plan printed."""

import math
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from gon_core.config import HELD_OUT, TRAINING_SET, TrainingConfig
from sweeps.engine.plan import Plan, Resources
from sweeps.engine.progress import duration
from sweeps.engine.records import SweepRecords

CORRUPTIONS = 15
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
    """Return the wall time of one trial that spends its whole budget of epochs."""
    data, epochs = plan.asked.data, plan.asked.training.max_epochs
    trained = (data.training_images or TRAINING_SET - HELD_OUT) * epochs
    evaluated = (CORRUPTIONS + 1) * (data.validation_images + data.test_images)
    evaluated += data.validation_images * epochs
    return trained * speed.train + evaluated * speed.evaluate


def expected_seconds(plan: Plan, speed: Speed, trials: int) -> float:
    """Return the wall time of the vanilla start and ``trials`` trials if none converges early."""
    images = plan.asked.data.training_images or TRAINING_SET - HELD_OUT
    start = images * plan.asked.start.training.max_epochs * speed.train
    rounds = math.ceil(trials / plan.resources.slots)
    return STARTUP_SECONDS + start + rounds * trial_seconds(plan, speed)


def show_plan(plan: Plan, speed: Speed, records: SweepRecords, console: Console) -> None:
    """Print every trial that would run, what each needs and how long all take."""
    parameter, resources = plan.question.parameter.name, plan.resources
    table = Table(title=f"plan of sweep {plan.name}", title_justify="left")
    for column in ("trial", parameter, "seed", "CPUs", "GPUs", "epochs", "record"):
        table.add_column(column, justify="left" if column in ("trial", "record") else "right")
    needs = (str(resources.cpus), f"{resources.gpus:g}", f"<= {plan.asked.training.max_epochs}")
    left = plan.number_of_trials - sum(result.is_final for result in records.results())
    for config in plan.grid_trials:
        result = records.trial(config.trial_id).result()
        value = f"{getattr(config.method, parameter):g}"
        status = result.status if result else "to run"
        table.add_row(config.trial_id, value, str(config.seed), *needs, status)
    for index in range(plan.asked.refinements):
        for seed in plan.asked.seeds:
            table.add_row(
                f"refinement {index + 1}", plan.asked.sampler, str(seed), *needs, "to run"
            )
    console.print(table)
    seconds = expected_seconds(plan, speed, left)
    console.print(
        f"{left} trials to run, {resources.slots} at a time on {resources.device}, after one "
        f"vanilla training: about {duration(seconds)} by the speed measured now."
    )
    show_cuts(plan, console)
    console.print("Dry run: nothing was started, nothing was written.")


def show_cuts(plan: Plan, console: Console) -> None:
    """Print what is smaller than in the paper."""
    if plan.cuts:
        console.print(f"Scale {plan.asked.scale} is cut short: {'; '.join(plan.cuts)}.")
