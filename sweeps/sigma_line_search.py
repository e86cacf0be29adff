"""Which sigma of Gaussian noise training makes MNIST most robust to corruptions it never saw?

A coarse grid over the paper's range, then Optuna refines around the best; every point is trained
with several seeds from the same vanilla model. Draws the paper's Figure 2 from our own trials. With
--method it searches the one number of another training method instead.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import ClassVar, get_args

from pydantic import Field, field_validator

from gon_core.config import Variant
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.grids import real_numbers
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.methods import strength_problem
from sweeps.engine.planning.plan import line_problems
from sweeps.engine.planning.scales import scale_name
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.system.leaving import leave


class Options(SweepOptions):
    """The options of every sweep, and the grid of sigma."""

    methods: ClassVar[tuple[str, ...]] = (
        "gnt", *(name for name in get_args(Variant) if name not in ("gnt", "vanilla"))
    )  # fmt: skip

    sigmas: tuple[float, ...] | None = Field(
        None,
        description="Grid of sigma, or of the number of another --method. Default: by --scale.",
    )

    @field_validator("sigmas", mode="before")
    @classmethod
    def _sigmas(cls, given: object) -> object:
        return real_numbers(given, least=0)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        if "method" in found or not self.sigmas:
            return found
        rule = strength_problem(self.variant, scale_name(self), self.sigmas, self.benchmark)
        return found | ({"sigmas": rule} if rule else {})


def main() -> int:
    """Run the sweep; return its exit code."""
    options = parse(Options, __doc__ or "", check=line_problems)
    from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(line_spec(options, options.sigmas), options)


if __name__ == "__main__":
    leave(main)
