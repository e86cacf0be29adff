"""The plan of a sweep printed: its trials, what each needs, and what all of it costs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from search_spaces.parameter import Choice, Real, value_text
from sweeps.engine.planning.earlier_sweeps import TimeEstimate
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import SweepRecords
from sweeps.engine.records.usage import HOUR
from sweeps.engine.report.summary.aggregate import LONG_STATUS
from sweeps.engine.system import machine
from sweeps.engine.system.text import duration, plural

MOST_ROWS, SHOWN_ROWS = 40, 20  # of more points than the first, some of them and the last

SLOW_BF16 = (
    "This CPU has no bfloat16 instructions: bf16 takes 4 times as long as fp32 with Gaussian "
    "noise, 14 times with adversarial noise, as measured. Without --precision bf16 it is faster."
)


SEVERAL_GPUS = (
    "Each trial takes {gpus:g} GPUs: use them for {gpus:g} trials at once unless one would not fit "
    "a GPU (--gpus-per-trial)."
)
GPUS_APART = (
    "Eight GPUs are eight trials at once: give a trial several (--gpus-per-trial) only if it would "
    "not fit one."
)


def show_plan(
    plan: Plan, records: SweepRecords, reusable: Mapping[str, str], costs: Sequence[str],
    estimate: TimeEstimate | None, start_is_kept: bool, console: Console,
) -> None:  # fmt: skip
    """Print every point that would run, what its trials take, and lines on what all of them cost.

    Args:
        plan: all trials.
        records: of those that have ended.
        reusable: by id, trials that another sweep has, and its name.
        costs: lines that are printed as they are.
        estimate: of the time of trials; None if nothing is known of their device.
        start_is_kept: whether the vanilla model need not be trained.
        console: where to print.
    """
    if plan.spec.search == "joint":
        console.print(_space_table(plan))
    console.print(_points_table(plan, records, reusable, estimate, start_is_kept))
    for line in costs:
        console.print(line, highlight=False)
    show_deviations(plan, console)
    if gpus := plan.resources.gpus:
        said = SEVERAL_GPUS.format(gpus=gpus) if gpus > 1 else GPUS_APART
        console.print(said, highlight=False)
    console.print("Dry run: nothing was started, nothing was written.")


def _points_table(
    plan: Plan, records: SweepRecords, reusable: Mapping[str, str], estimate: TimeEstimate | None,
    start_is_kept: bool,
) -> Table:  # fmt: skip
    """Return a row for the start, each point of the grid, baselines and proposals; few of many."""
    resources, seeds, is_joint = plan.resources, plan.config.seeds, plan.spec.search == "joint"
    names = ["point"] if is_joint else [each.name.replace("_", " ") for each in plan.spec.space]
    gpus = f"{resources.gpus:g} GPU{'s' * (resources.gpus != 1)}"
    title = f"plan of sweep {plan.name}: {plural(resources.all_cpus, 'CPU')}, {gpus} a trial"
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for column in ("trials", "epochs", "a trial", "GPU-hours" if resources.gpus else "core-hours"):
        table.add_column(column, justify="right")
    table.add_column("records", overflow="fold")
    units = (resources.gpus or resources.all_cpus) / HOUR
    points = [*plan.config.grid, *plan.spec.baseline_points]
    typical = estimate.points if estimate else ()
    proposed = estimate.trial if estimate else 0.0
    if is_joint and typical:  # the first is of what is proposed
        proposed, *typical = typical
    seconds = typical if len(typical) == len(points) else ()
    blank = [""] * (len(names) - 1)
    if start := _start_cells(plan, estimate, start_is_kept):
        table.add_row("vanilla start", *blank, *start)
    for number, point in enumerate(points):
        if len(points) > MOST_ROWS and SHOWN_ROWS <= number < len(points) - 1:
            if number == SHOWN_ROWS:
                hidden = len(points) - SHOWN_ROWS - 1
                rest = units * len(seeds) * sum(seconds[SHOWN_ROWS:-1])
                left = f"{rest:.3g}" if seconds else ""
                count = str(hidden * len(seeds))
                table.add_row(f"{hidden} more points", *blank, count, "", "", left, "")
            continue
        trials = [plan.trial(point, seed) for seed in seeds]
        values = [*map(value_text, point), *[""] * (len(names) - len(point))]
        each = _hours(seconds[number], units * len(trials)) if seconds else ("", "")
        epochs = f"<= {trials[0].training.max_epochs}"
        states = _states([trial.trial_id for trial in trials], records, reusable)
        table.add_row(*values, str(len(trials)), epochs, *each, states)
    if proposals := plan.config.proposals:
        label = f"{plural(proposals, 'proposal')} by {plan.config.sampler}"
        count = proposals * len(seeds)
        each = _hours(proposed, units * count) if estimate else ("", "")
        typical_epochs = [training.max_epochs for _, training, _ in plan.typical_trials]
        most = typical_epochs[0] if is_joint else max(typical_epochs)
        table.add_row(label, *blank, str(count), f"<= {most}", *each, "as found")
    return table


def _start_cells(plan: Plan, estimate: TimeEstimate | None, is_kept: bool) -> list[str]:
    """Return count, epochs, hours and state of the vanilla models; none where none is trained."""
    starts = [start for start in plan.starts if start.weights is None]
    if not starts:
        return []
    count, units, hours = len(starts), plan.resources.start_gpus or plan.resources.cpus, ("", "")
    if estimate is not None and not is_kept:
        hours = _hours(estimate.start / count, units * count / HOUR)
    epochs = f"<= {starts[0].training.max_epochs}"
    return [str(count), epochs, *hours, "kept" if is_kept else "to train"]


def _hours(seconds: float, units: float) -> tuple[str, str]:
    return f"<= {duration(seconds)}", f"<= {seconds * units:.3g}"


def _states(ids: Sequence[str], records: SweepRecords, reusable: Mapping[str, str]) -> str:
    """Return how many trials of a point ended how, or are yet to run."""
    found: Counter[str] = Counter()
    for trial_id in ids:
        result = records.trial(trial_id).result()
        state = LONG_STATUS[result.status] if result else "to run"
        found[f"reused: {reusable[trial_id]}" if trial_id in reusable else state] += 1
    return ", ".join(f"{count} {state}" for state, count in found.items())


def _space_table(plan: Plan) -> Table:
    title = (
        f"plan of sweep {plan.name}: {plan.config.proposals} points by {plan.config.sampler}, "
        f"{len(plan.config.seeds)} seed{'s' * (len(plan.config.seeds) > 1)} each"
    )
    table = Table(title=title, title_justify="left")
    for column in ("parameter", "range", "unit", "paper"):
        table.add_column(column)
    for parameter in plan.spec.space:
        if isinstance(parameter, Choice):
            values = ", ".join(map(value_text, parameter.values))
        else:
            values = f"{value_text(parameter.low)} to {value_text(parameter.high)}"
            values += ", log" * (isinstance(parameter, Real) and parameter.log)
        paper = "" if parameter.paper is None else value_text(parameter.paper)
        table.add_row(parameter.name, values, parameter.unit, paper)
    return table


def show_deviations(plan: Plan, console: Console) -> None:
    """Print what is smaller than in the paper, or in whose recipe it is; and what makes it slow."""
    on_cpu = plan.resources.device == "cpu"
    if plan.config.training.precision == "bf16" and on_cpu and not machine.has_bf16():
        console.print(SLOW_BF16, style="yellow", highlight=False)
    if plan.deviations:
        recipe, found = plan.config.data.benchmark.recipe, "; ".join(plan.deviations)
        line = f"Deviations from {recipe} at scale {plan.config.scale}: {found}."
        console.print(line, highlight=False)
