"""What a sweep will cost, in words: time, GPU-hours, money and bytes of storage."""

import math
from dataclasses import replace

from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.trial_cost import TimeEstimate, storage_bytes
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.checkpoint import KEPT_CHECKPOINTS
from sweeps.engine.records.usage import HOUR, UNITS, Budget, Option, Spent, enough, limit_passed
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system.text import duration, plural

STARTUP_SECONDS = 20  # Ray, the first workers, the report
MEGABYTE = 1e6


def price_lines(
    plan: Plan,
    estimate: TimeEstimate | None,
    records: SweepRecords,
    start_is_kept: bool,
    budget: Budget,
    price: float | None = None,
    reusable: int = 0,
) -> list[str]:
    """Return what the trials that are left cost.

    Args:
        plan: all trials.
        estimate: of one trial; None if nothing is known of the device.
        records: of the trials that have ended, and of what was used.
        start_is_kept: whether the vanilla model need not be trained.
        budget: what the sweep may use.
        price: of a GPU-hour, in any currency.
        reusable: how many trials other sweeps have, which cost nothing.
    """
    left = plan.number_of_trials - sum(result.is_final for result in records.results()) - reusable
    resources, spent = plan.resources, records.usage.spent()
    start = _beginning(plan, start_is_kept)
    what = f"{plural(left, 'trial')} to run, {at_a_time(resources)} on {resources.device}, {start}"
    if reusable:
        are = "trial is" if reusable == 1 else "trials are"
        if not left:
            return [f"{reusable} {are} reused at no cost: nothing to train."]
        what = f"{reusable} {are} reused at no cost. {what}"
    if estimate is None:
        lines = [
            f"{what}. Its GPU-hours are not known: this machine has no GPU, no "
            "trial of this kind on one is recorded under --storage, and what a CPU takes says "
            "nothing about it. Ask on a machine that has the GPU, or give --images-per-second.",
            *(f"{_used(spent, budget, option)}." for option in budget.limits),
        ]
        return [*lines, _storage_line(plan, left)]
    if start_is_kept:
        estimate = replace(estimate, start=0.0)
    if resources.grows:  # how many machines will come is unknown
        time = f"each at most about {duration(estimate.trial)}"
    else:
        rounds = math.ceil(left / resources.max_concurrent)
        seconds = STARTUP_SECONDS + estimate.start + rounds * estimate.trial
        time = f"at most about {duration(seconds)}"
    return [
        f"{what}: {time} {estimate.source}.",
        _hours_line(resources, estimate, left, price),
        *_budget_lines(resources, estimate, spent, left, budget),
        _storage_line(plan, left),
    ]


def _beginning(plan: Plan, start_is_kept: bool) -> str:
    """Return in words what trials start from."""
    starts, random = plan.starts, [n for n in plan.variants if n in plan.config.random_starts]
    if not starts:
        return "from random weights"
    vanilla = len(starts)
    words = f"after {'one' if vanilla == 1 else vanilla} vanilla training{'s' * (vanilla > 1)}"
    if all(start.weights is not None for start in starts):
        words = "from the given weights"
    elif start_is_kept:
        words = f"from the vanilla model{'s that are' if vanilla > 1 else ' that is'} kept"
    return f"{words}, {' and '.join(random)} from random weights" if random else words


def at_a_time(resources: Resources) -> str:
    """Return in words how many trials run at a time."""
    if resources.grows:
        return f"up to {resources.max_concurrent} at a time, as machines come,"
    return f"{resources.max_concurrent} at a time"


def money(amount: float) -> str:
    """Return an amount of money, in the currency of the price."""
    return f"{amount:.2f}" if amount >= 0.1 or not amount else f"{amount:.2g}"


def _hours_line(
    resources: Resources, estimate: TimeEstimate, trials: int, price: float | None
) -> str:
    hours, start_hours = trials * estimate.trial / HOUR, estimate.start / HOUR
    early = "Trials that converge early need less."
    if not resources.gpus:
        cores = hours * resources.all_cpus + start_hours * resources.cpus
        return f"0 GPU-hours; at most about {cores:.2g} core-hours. {early}"
    gpu_hours = hours * resources.gpus + start_hours * resources.start_gpus
    text = f"At most about {gpu_hours:.3g} GPU-hours"
    if price is not None:
        cost = money(gpu_hours * price)
        text += f"; at {money(price)} per GPU-hour: at most about {cost}"
    return f"{text}. {early}"


def _budget_lines(
    resources: Resources, estimate: TimeEstimate, spent: Spent, left: int, budget: Budget
) -> list[str]:
    lines = []
    for option, limit in budget.limits.items():
        in_hours = option == "budget_hours"
        each = estimate.trial * (1 if in_hours else resources.gpus)
        first = (
            STARTUP_SECONDS + estimate.start if in_hours else resources.start_gpus * estimate.start
        )
        rest = HOUR * (limit - spent.hours(option)) - first
        rounds = max(0, math.floor(rest / each))
        if in_hours and resources.grows:
            enough_for = f"{rounds} trials one after the other at each place that the cluster has"
        else:
            trials = min(left, rounds * (resources.max_concurrent if in_hours else 1))
            enough_for = f"{'all' if trials == left else trials} of the {plural(left, 'trial')}"
        used = _used(spent, budget, option)
        lines.append(f"{used}; the rest is enough for {enough_for}, if none converges early.")
    return lines


def _used(spent: Spent, budget: Budget, option: Option) -> str:
    limit = f"{budget.limits[option]:g} {UNITS[option]}"
    return f"Of the budget of {limit} {spent.hours(option):.3g} are used"


def _storage_line(plan: Plan, left: int) -> str:
    checkpoint, finished = (size / MEGABYTE for size in storage_bytes(plan))
    running = min(plan.resources.max_concurrent, left)
    together = KEPT_CHECKPOINTS * checkpoint * running
    return (
        f"Storage: a checkpoint has {checkpoint:.3g} MB, and {KEPT_CHECKPOINTS} a trial are kept: "
        f"{together:.3g} MB while {running} run; {finished:.3g} MB stay of each trial: "
        f"{left * finished:.3g} MB of {left}."
    )


def too_small(plan: Plan, budget: Budget, estimate: TimeEstimate, start_is_kept: bool) -> str:
    """Return why the budget ends before the first trial of all, in words; empty if it does not."""
    gpus, start = plan.resources.gpus, 0.0 if start_is_kept else estimate.start
    before = Spent(STARTUP_SECONDS + start, plan.resources.start_gpus * start)
    option = limit_passed(budget, before, 0.0, estimate.trial, gpus)
    if option is None:
        return ""
    limit, used = budget.limits[option], before.hours(option)
    needed = estimate.trial * (gpus if option == "budget_gpu_hours" else 1) / HOUR
    least = enough(used, needed, limit)
    vanilla = "" if start_is_kept else " after the vanilla training"
    flag = "--" + option.replace("_", "-")
    return (
        f"{flag}: {limit:g} {UNITS[option]} would end before the first trial, which takes at "
        f"most about {duration(estimate.trial)}{vanilla}, {estimate.source}; {least:g} are "
        f"enough for one, given: {limit:g}"
    )


def used_line(spent: Spent, resources: Resources, budget: Budget, price: float | None) -> str:
    """Return what was used in all; empty if neither a budget nor a price was given."""
    if not budget.limits and price is None:
        return ""
    gpu_hours = spent.hours("budget_gpu_hours")
    texts = [f"{gpu_hours:.3g} GPU-hours"] if resources.gpus else []
    texts.append(f"{spent.hours('budget_hours'):.3g} hours")
    if price is not None:
        texts.append(f"{money(gpu_hours * price)} at {money(price)} per GPU-hour")
    return f"Used in all, by every run of this sweep: {', '.join(texts)}."
