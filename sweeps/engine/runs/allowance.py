"""The budget of a sweep before its first trial and after its last: refused, started, ended."""

from rich.console import Console

from gon_core.config import TrialConfig
from sweeps.engine.backend.budget import HOUR, Budget, Meter, Spent, enough, limit_passed
from sweeps.engine.planning.cost import (
    STARTUP_SECONDS,
    Speed,
    after_training_seconds,
    seconds_per_image,
)
from sweeps.engine.planning.estimate import TimeEstimate, estimate_time
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import Stop, SweepRecords
from sweeps.engine.records.storage import Folder
from sweeps.engine.records.usage import UNITS
from sweeps.engine.runs.price import Price, money
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.provenance import repeat_command
from sweeps.engine.system.text import duration


def make_meter(
    plan: Plan, storage: Folder, records: SweepRecords, budget: Budget, start_is_kept: bool,
    console: Console,
) -> Meter:  # fmt: skip
    """Return the meter of a sweep, with what a trial is expected to need if there is a budget.

    Raises:
        SystemExit: 2, if the first trial of all would pass the budget.
    """

    def after_training(config: TrialConfig, epoch: float) -> float:
        speed = Speed.from_training(seconds_per_image(plan, config, epoch))
        return after_training_seconds(plan, speed)

    meter = Meter(records, plan.resources, budget, after_training=after_training)
    if not budget.limits:
        return meter
    estimate = estimate_time(plan, storage)
    if estimate is None:
        if meter.expected is None:
            console.print(
                "What a trial needs is not known: the first one runs alone until its first epoch "
                "tells."
            )
    else:
        meter.estimate = estimate.trial
        if meter.spent == Spent():
            _refuse_too_small(plan, budget, estimate, start_is_kept)
    return meter


def _refuse_too_small(
    plan: Plan, budget: Budget, estimate: TimeEstimate, start_is_kept: bool
) -> None:
    gpus, start = plan.resources.gpus, 0.0 if start_is_kept else estimate.start
    before = Spent(STARTUP_SECONDS + start, plan.resources.start_gpus * start)
    option = limit_passed(budget, before, 0.0, estimate.trial, gpus)
    if option is None:
        return
    limit, used = budget.limits[option], before.hours(option)
    needed = estimate.trial * (gpus if option == "budget_gpu_hours" else 1) / HOUR
    least = enough(used, needed, limit)
    vanilla = "" if start_is_kept else " after the vanilla training"
    flag = "--" + option.replace("_", "-")
    refuse(
        [f"{flag}: {limit:g} {UNITS[option]} would end before the first trial, which takes at "
         f"most about {duration(estimate.trial)}{vanilla}, {estimate.source}; {least:g} are "
         f"enough for one, given: {limit:g}"]
    )  # fmt: skip


def make_stop(meter: Meter, trials_left: int) -> Stop | None:
    """Return how the budget ends the sweep now; None if another trial may be started."""
    if (option := meter.limit_reached()) is None:
        return None
    larger = {
        "--" + name.replace("_", "-"): f"{limit:g}"
        for name, limit in meter.larger(trials_left).items()
    }
    resume_command = repeat_command(larger)
    return Stop(option=option, limit=meter.budget.limits[option], resume_command=resume_command)


def used_line(meter: Meter, price: Price) -> str:
    """Return what was used in all; empty if neither a budget nor a price was given."""
    if not meter.budget.limits and price.per_gpu_hour is None:
        return ""
    gpu_hours = meter.spent.hours("budget_gpu_hours")
    texts = [f"{meter.spent.hours('budget_hours'):.3g} hours"]
    if meter.resources.gpus:
        texts.insert(0, f"{gpu_hours:.3g} GPU-hours")
    if price.per_gpu_hour is not None:
        cost = gpu_hours * price.per_gpu_hour
        texts.append(f"{money(cost)} at {money(price.per_gpu_hour)} per GPU-hour")
    return f"Used in all, by every run of this sweep: {', '.join(texts)}."
