"""The plan of a sweep printed: its trials, what each needs, and what all of it costs."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from search_spaces.parameter import Choice, Real, value_text
from sweeps.engine.planning.plan import Plan
from sweeps.engine.records import SweepRecords
from sweeps.engine.system import machine

SLOW_BF16 = (
    "This CPU has no bfloat16 instructions: bf16 takes 4 times as long as fp32 with Gaussian "
    "noise, 14 times with adversarial noise, as measured. Without --precision bf16 it is faster."
)


SEVERAL_GPUS = (
    "Each trial takes {gpus:g} GPUs: use them for {gpus:g} trials at once unless one would not fit "
    "a GPU (--gpus-per-trial)."
)


def show_plan(
    plan: Plan, records: SweepRecords, reusable: Mapping[str, str], costs: Sequence[str],
    console: Console,
) -> None:  # fmt: skip
    """Print every trial that would run, what each needs, and lines on what all of them cost.

    Args:
        plan: all trials.
        records: of those that have ended.
        reusable: by id, trials that another sweep has, and its name.
        costs: lines that are printed as they are.
        console: where to print.
    """
    if plan.spec.search == "joint":
        console.print(_space_table(plan))
    if plan.known_trials:
        console.print(_trials_table(plan, records, reusable))
    for line in costs:
        console.print(line, highlight=False)
    show_deviations(plan, console)
    if plan.resources.gpus > 1:
        console.print(SEVERAL_GPUS.format(gpus=plan.resources.gpus), highlight=False)
    console.print("Dry run: nothing was started, nothing was written.")


def _trials_table(plan: Plan, records: SweepRecords, reusable: Mapping[str, str]) -> Table:
    names, resources = [parameter.name for parameter in plan.spec.space], plan.resources
    table = Table(title=f"plan of sweep {plan.name}", title_justify="left")
    for column in ("trial", *names, "seed", "CPUs", "GPUs", "epochs", "record"):
        justify = "left" if column in ("trial", "record") else "right"
        table.add_column(
            column.replace("_", " "), justify=justify, no_wrap=column == "trial", overflow="fold"
        )
    needs = str(resources.all_cpus), f"{resources.gpus:g}"
    most = f"<= {plan.config.training.max_epochs}"
    for config in plan.known_trials:
        result = records.trial(config.trial_id).result()
        values = [value_text(value) for value in plan.spec.point(config)]
        values += [""] * (len(names) - len(values))  # a baseline has its name alone
        status = result.status if result else "to run"
        if config.trial_id in reusable:
            status = f"reused: {reusable[config.trial_id]}"
        epochs = f"<= {config.training.max_epochs}"
        table.add_row(config.trial_id, *values, str(config.seed), *needs, epochs, status)
    if proposals := plan.config.proposals:
        by_optuna = [f"by {plan.config.sampler}", *[""] * (len(names) - 1)]
        seeds = ", ".join(map(str, plan.config.seeds))
        label = f"{proposals} proposal{'s' * (proposals > 1)}"
        table.add_row(label, *by_optuna, seeds, *needs, most, "as found")
    return table


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
        console.print(f"Deviations from {recipe} at scale {plan.config.scale}: {found}.")
