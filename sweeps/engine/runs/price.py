"""What a sweep costs, in words: time, GPU-hours, money, and bytes of storage."""

import math
from dataclasses import dataclass

from sweeps.engine.backend.budget import HOUR, Budget, spent_before
from sweeps.engine.planning.cost import STARTUP_SECONDS
from sweeps.engine.planning.estimate import TimeEstimate
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.storage_need import measure_storage
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.checkpoint import KEPT_CHECKPOINTS
from sweeps.engine.records.usage import UNITS
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system.text import duration

MEGABYTE = 1e6


@dataclass(frozen=True)
class Price:
    """What the options say of a sweep's cost.

    Attributes:
        budget: what it may use.
        per_gpu_hour: money, in a currency that is not ours to know; None: not told.
    """

    budget: Budget
    per_gpu_hour: float | None = None


def price_lines(
    plan: Plan,
    estimate: TimeEstimate | None,
    records: SweepRecords,
    start_is_kept: bool,
    price: Price,
) -> list[str]:
    """Return what the trials that are left cost.

    Args:
        plan: all trials.
        estimate: of one trial; None if nothing is known of the device.
        records: of the trials that are not left, and of what was used.
        start_is_kept: whether the vanilla model need not be trained.
        price: the budget, and the price of a GPU-hour.
    """
    left = plan.number_of_trials - sum(result.is_final for result in records.results())
    resources = plan.resources
    start = "from the vanilla model that is kept" if start_is_kept else "after one vanilla training"
    what = f"{left} trials to run, {at_a_time(resources)} on {resources.device}, {start}"
    if estimate is None:
        lines = [
            f"{what}. How many GPU-hours that is cannot be told here: this machine has no GPU, no "
            "trial of this kind on one is recorded under --storage, and what a CPU takes says "
            "nothing about it. Ask on a machine that has the GPU."
        ]
    else:
        if resources.grows:  # how many machines will come is not ours to know
            seconds, each = estimate.trial, "each "
        else:
            seconds, each = wall_seconds(plan, estimate, left, start_is_kept), ""
        lines = [
            f"{what}: {each}at most about {duration(seconds)} {estimate.source}.",
            _hours_line(plan, estimate, left, start_is_kept, price),
        ]
    lines += _budget_lines(plan, estimate, records, left, start_is_kept, price.budget)
    return [*lines, _storage_line(plan, left)]


def at_a_time(resources: Resources) -> str:
    """Return in words how many trials run at a time."""
    if resources.grows:
        return f"up to {resources.slots} at a time, as machines come,"
    return f"{resources.slots} at a time"


def wall_seconds(plan: Plan, estimate: TimeEstimate, trials: int, start_is_kept: bool) -> float:
    """Return the wall time of ``trials`` trials, and of the start, if none converges early."""
    rounds = math.ceil(trials / plan.resources.slots)
    start = 0.0 if start_is_kept else estimate.start
    return STARTUP_SECONDS + start + rounds * estimate.trial


def occupied_hours(plan: Plan, estimate: TimeEstimate, trials: int, start_is_kept: bool) -> float:
    """Return for how many hours a place is taken, by the trials and by the start."""
    return (trials * estimate.trial + (0.0 if start_is_kept else estimate.start)) / HOUR


def money(amount: float) -> str:
    """Return an amount of money, of no currency: it is that of the price."""
    return f"{amount:.2f}" if amount >= 0.1 or not amount else f"{amount:.2g}"


def _hours_line(
    plan: Plan, estimate: TimeEstimate, trials: int, start_is_kept: bool, price: Price
) -> str:
    hours = occupied_hours(plan, estimate, trials, start_is_kept)
    early = "Trials that converge early need less."
    if not plan.resources.gpus:
        of_start = occupied_hours(plan, estimate, 0, start_is_kept)
        cores = (hours - of_start) * plan.resources.all_cpus + of_start * plan.resources.cpus
        return f"0 GPU-hours; at most about {cores:.2g} core-hours. {early}"
    gpu_hours = occupied_hours(plan, estimate, trials, True) * plan.resources.gpus
    gpu_hours += occupied_hours(plan, estimate, 0, start_is_kept) * plan.resources.start_gpus
    text = f"At most about {gpu_hours:.3g} GPU-hours"
    if price.per_gpu_hour is not None:
        cost = gpu_hours * price.per_gpu_hour
        text += f"; at {money(price.per_gpu_hour)} per GPU-hour: at most about {money(cost)}"
    return f"{text}. {early}"


def _budget_lines(
    plan: Plan, estimate: TimeEstimate | None, records: SweepRecords, left: int,
    start_is_kept: bool, budget: Budget,
) -> list[str]:  # fmt: skip
    spent, lines = spent_before(records), []
    for option, limit in budget.limits.items():
        used, unit = spent.hours(option), UNITS[option]
        text = f"Of the budget of {limit:g} {unit} {used:.3g} are used"
        if estimate is None:
            lines.append(f"{text}.")
            continue
        start = 0.0 if start_is_kept else estimate.start
        each, slots = plan.resources.gpus * estimate.trial / HOUR, 1
        first = plan.resources.start_gpus * start / HOUR
        if option == "budget_hours":
            each, slots = estimate.trial / HOUR, plan.resources.slots
            first = (STARTUP_SECONDS + start) / HOUR
        rounds = max(0, math.floor((limit - used - first) / each))
        if option == "budget_hours" and plan.resources.grows:
            lines.append(f"{text}; the rest is enough for {rounds} trials one after the other at "
                         "each place that the cluster has, if none converges early.")  # fmt: skip
            continue
        trials = min(left, rounds * slots)
        lines.append(f"{text}; the rest is enough for {'all' if trials == left else trials} of "
                     f"the {left} trials, if none converges early.")  # fmt: skip
    return lines


def _storage_line(plan: Plan, left: int) -> str:
    need = measure_storage(plan)
    together_at_most = min(plan.resources.slots, left)
    running = KEPT_CHECKPOINTS * need.checkpoint * together_at_most
    checkpoint, together, finished, all_of_them = (
        f"{size / MEGABYTE:.3g} MB"
        for size in (need.checkpoint, running, need.finished, left * need.finished)
    )
    return (
        f"Storage: a checkpoint has {checkpoint}, and {KEPT_CHECKPOINTS} a trial are kept: "
        f"{together} while {together_at_most} run; {finished} stay of each trial: {all_of_them} "
        f"of {left}."
    )
