"""What a sweep will cost, in words: time, GPU-hours, money and bytes of storage.

A trial's time is known from earlier trials of its kind, else it is measured now.
"""

import math
import socket
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gon_core.config import TrialConfig
from sweeps.engine.cli.storage_checks import RESERVED_NAMES
from sweeps.engine.planning.plan import Plan
from sweeps.engine.planning.trial_cost import (
    STARTUP_SECONDS,
    TimeEstimate,
    device_names,
    measure_storage,
    measured_time,
)
from sweeps.engine.records import SweepRecords, TrialRecords, TrialResult
from sweeps.engine.records.checkpoint import KEPT_CHECKPOINTS
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import HOUR, UNITS, Budget, Spent, enough, limit_passed
from sweeps.engine.resources.resources import Resources
from sweeps.engine.system.errors import StorageError
from sweeps.engine.system.text import duration

MEGABYTE = 1e6
ENOUGH = 20  # recorded trials of a kind, beyond which no further sweep is read


def estimate_time(plan: Plan, storage: Folder) -> TimeEstimate | None:
    """Return what a trial of ``plan`` takes; None if nothing is known of its device.

    Args:
        plan: the sweep's.
        storage: where it and other sweeps are kept.
    """
    return recorded_time(plan, storage) or measured_time(plan)


def recorded_time(plan: Plan, storage: Folder) -> TimeEstimate | None:
    """Return the estimate by earlier trials in ``storage``; None unless every method has some.

    They have the same method (whatever its numbers are), images, batches, precision and measures,
    and ran on the same device: on this host if that is a CPU. Of a GPU that this machine does not
    have it is the one of which most trials are recorded.
    """
    kinds = [method.method for method in plan.known_methods]
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for records in _comparable_sweeps(plan, storage):
        for trial in map(records.trial, records.names()):
            result = trial.result()
            if result is None or result.config.method.method not in kinds:
                continue
            if _is_alike(plan, result) and (device := _device(plan, trial, result)) is not None:
                trials = found.setdefault(device, {kind: [] for kind in kinds})
                seconds = _seconds(result, plan.config.training.max_epochs)
                trials[result.config.method.method].append(seconds)
        if any(min(map(len, trials.values())) >= ENOUGH for trials in found.values()):
            break
    complete = {device: trials for device, trials in found.items() if all(trials.values())}
    if not complete:
        return None
    device = max(complete, key=lambda name: sum(map(len, complete[name].values())))
    trials = complete[device]
    count = sum(map(len, trials.values()))
    whole, epochs = (
        {kind: statistics.fmean(some[part] for some in trials[kind]) for kind in trials}
        for part in (0, 1)
    )
    return TimeEstimate(
        statistics.fmean(whole[kind] for kind in kinds),
        min(epochs.values()) * plan.config.start.training.max_epochs,  # as vanilla, or slower
        f"by the recorded speed of {count} earlier trial{'s' * (count > 1)} on {device}",
    )


def _seconds(result: TrialResult, max_epochs: int) -> tuple[float, float]:
    """Return what a trial takes that spends all its epochs, and the training of an epoch."""
    history = result.history
    validation = statistics.fmean(entry.get("validation_seconds", 0.0) for entry in history)
    epoch = statistics.fmean(entry["seconds"] for entry in history)
    return max_epochs * (epoch + validation) + result.seconds.get("evaluation", 0.0), epoch


def _comparable_sweeps(plan: Plan, storage: Folder) -> Iterator[SweepRecords]:
    """Yield the plan's own sweep, then those of the same images and share of a GPU, newest first.

    What cannot be read is no sweep to compare with.
    """
    others: list[tuple[str, SweepRecords]] = []
    for name in storage.names():
        if name in RESERVED_NAMES:
            continue
        try:
            records = SweepRecords(storage / name)
            description = records.read_sweep()
            if description is None or not _shares_alike(plan, records):
                continue
            if _is_configured_alike(plan, description.config):
                created = "~" if name == plan.name else description.created
                others.append((created, records))
        except (OSError, ValueError, StorageError):
            continue
    for _, records in sorted(others, key=lambda other: other[0], reverse=True):
        yield records


def _is_configured_alike(plan: Plan, recorded: dict[str, Any]) -> bool:
    ours = plan.config.model_dump(mode="json")  # without what has its default
    return all(recorded.get(key) == ours.get(key) for key in ("data", "evaluation"))


def _shares_alike(plan: Plan, records: SweepRecords) -> bool:
    # Which driver ran which of its trials is not recorded: all must have given them as much.
    return {usage.gpus_per_trial for usage in records.usage.read()} <= {plan.resources.gpus}


def _is_alike(plan: Plan, result: TrialResult) -> bool:
    config: TrialConfig = result.config
    training, ours = config.training, plan.config.training
    return (
        bool(result.history)
        and result.is_measured
        and config.data == plan.config.data
        and config.evaluation == plan.config.evaluation
        and (training.batch_size, training.precision) == (ours.batch_size, ours.precision)
    )


def _device(plan: Plan, trial: TrialRecords, result: TrialResult) -> str | None:
    """Return the name of the trial's device; None if it is not one that the plan's may run on."""
    parts = result.device.split(", ")
    on_cpu = parts[0].endswith("cpu")  # or "2 x cpu"
    if on_cpu != (plan.resources.device == "cpu"):
        return None
    if on_cpu:
        attempts = trial.attempts()
        here = bool(attempts) and attempts[-1].host == socket.gethostname()
        return "this machine's CPU" if here and ", ".join(parts[:2]) in device_names(plan) else None
    names = device_names(plan)
    return parts[0] if not names or parts[0] in names else None


@dataclass(frozen=True)
class Price:
    """What the options say of a sweep's cost.

    Attributes:
        budget: what it may use.
        per_gpu_hour: money, in any currency; None: not given.
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
        if start_is_kept:
            estimate = replace(estimate, start=0.0)
        if resources.grows:  # how many machines will come is unknown
            seconds, each = estimate.trial, "each "
        else:
            seconds, each = wall_seconds(plan, estimate, left), ""
        lines = [
            f"{what}: {each}at most about {duration(seconds)} {estimate.source}.",
            _hours_line(resources, estimate, left, price),
        ]
    lines += _budget_lines(resources, estimate, records.usage.spent(), left, price.budget)
    return [*lines, _storage_line(plan, left)]


def at_a_time(resources: Resources) -> str:
    """Return in words how many trials run at a time."""
    if resources.grows:
        return f"up to {resources.slots} at a time, as machines come,"
    return f"{resources.slots} at a time"


def wall_seconds(plan: Plan, estimate: TimeEstimate, trials: int) -> float:
    """Return the wall time of ``trials`` trials, and of the start, if none converges early."""
    rounds = math.ceil(trials / plan.resources.slots)
    return STARTUP_SECONDS + estimate.start + rounds * estimate.trial


def money(amount: float) -> str:
    """Return an amount of money, in the currency of the price."""
    return f"{amount:.2f}" if amount >= 0.1 or not amount else f"{amount:.2g}"


def _hours_line(resources: Resources, estimate: TimeEstimate, trials: int, price: Price) -> str:
    hours, start_hours = trials * estimate.trial / HOUR, estimate.start / HOUR
    early = "Trials that converge early need less."
    if not resources.gpus:
        cores = hours * resources.all_cpus + start_hours * resources.cpus
        return f"0 GPU-hours; at most about {cores:.2g} core-hours. {early}"
    gpu_hours = hours * resources.gpus + start_hours * resources.start_gpus
    text = f"At most about {gpu_hours:.3g} GPU-hours"
    if price.per_gpu_hour is not None:
        cost = gpu_hours * price.per_gpu_hour
        text += f"; at {money(price.per_gpu_hour)} per GPU-hour: at most about {money(cost)}"
    return f"{text}. {early}"


def _budget_lines(
    resources: Resources, estimate: TimeEstimate | None, spent: Spent, left: int, budget: Budget
) -> list[str]:
    lines = []
    for option, limit in budget.limits.items():
        used = spent.hours(option)
        text = f"Of the budget of {limit:g} {UNITS[option]} {used:.3g} are used"
        if estimate is None:
            lines.append(f"{text}.")
            continue
        if option == "budget_hours":
            each, first, together = (
                estimate.trial,
                STARTUP_SECONDS + estimate.start,
                resources.slots,
            )
        else:
            each, first = resources.gpus * estimate.trial, resources.start_gpus * estimate.start
            together = 1
        rounds = max(0, math.floor((limit - used - first / HOUR) / (each / HOUR)))
        if option == "budget_hours" and resources.grows:
            enough_for = f"{rounds} trials one after the other at each place that the cluster has"
        else:
            trials = min(left, rounds * together)
            enough_for = f"{'all' if trials == left else trials} of the {left} trials"
        lines.append(f"{text}; the rest is enough for {enough_for}, if none converges early.")
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


def used_line(spent: Spent, resources: Resources, price: Price) -> str:
    """Return what was used in all; empty if neither a budget nor a price was given."""
    if not price.budget.limits and price.per_gpu_hour is None:
        return ""
    gpu_hours = spent.hours("budget_gpu_hours")
    texts = [f"{spent.hours('budget_hours'):.3g} hours"]
    if resources.gpus:
        texts.insert(0, f"{gpu_hours:.3g} GPU-hours")
    if price.per_gpu_hour is not None:
        cost = gpu_hours * price.per_gpu_hour
        texts.append(f"{money(cost)} at {money(price.per_gpu_hour)} per GPU-hour")
    return f"Used in all, by every run of this sweep: {', '.join(texts)}."
