"""What the ``main`` of every sweep script does."""

from collections.abc import Callable
from typing import TypeVar

from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.command_options import CommandOptions
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.spec import SweepSpec

Options = TypeVar("Options", bound=SweepOptions)


def tracking_problems(options: CommandOptions) -> dict[str, str]:
    """Return why the MLflow of now cannot use the sweep's store, by option name."""
    from sweeps.engine.tracking import default_uri, store_problem

    problem = store_problem(options.tracking_uri or default_uri(options.storage))
    return {"tracking_uri": problem} if problem else {}


def run_script(
    model: type[Options],
    description: str | None,
    spec: Callable[[Options], SweepSpec],
    check: Callable[[Options], dict[str, str]],
) -> int:
    """Run the sweep of the command line; return its exit code.

    Args:
        model: the script's options.
        description: for ``--help``.
        spec: what is searched, and where.
        check: what is wrong with legal options, by option name.
    """

    def problems(options: Options) -> dict[str, str]:
        return check(options) | tracking_problems(options)

    options = parse(model, description or "", check=problems)
    from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(spec(options), options)
