"""What the ``main`` of every sweep script does."""

from collections.abc import Callable
from typing import TypeVar

from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.spec import SweepSpec

Options = TypeVar("Options", bound=SweepOptions)


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
    options = parse(model, description or "", check=check)
    from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(spec(options), options)
