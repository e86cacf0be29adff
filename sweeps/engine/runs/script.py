"""What every sweep script is: options, what is searched, and how both are checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

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


@dataclass(frozen=True)
class Script(Generic[Options]):
    """A sweep that can be run by its command line, or from Python.

    Attributes:
        options: the script's own.
        description: for ``--help``.
        spec: what is searched, and where.
        check: what is wrong with legal options, by option name.
    """

    options: type[Options]
    description: str | None
    spec: Callable[[Options], SweepSpec]
    check: Callable[[Options], dict[str, str]]

    def main(self) -> int:
        """Run the sweep of the command line; return its exit code."""

        def problems(options: Options) -> dict[str, str]:
            return self.check(options) | tracking_problems(options)

        options = parse(self.options, self.description or "", check=problems)
        from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

        return run_sweep(self.spec(options), options)
