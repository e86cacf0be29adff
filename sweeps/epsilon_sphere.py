"""How large should the adversarial noise be? The best epsilon sphere for ANT on MNIST.

A line search as for sigma (appendix B of the paper): a coarse grid, then Optuna refines around the
best. The figure's second axis shows the Gaussian sigma whose noise is as large on these images.
With --method it searches the size of another method's perturbations instead.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import ClassVar, get_args

from pydantic import Field, field_validator

from gon_core.config import Variant
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.grids import real_numbers
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import strength_problem
from sweeps.engine.planning.plan import line_problems
from sweeps.engine.planning.scales import scale_name
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and the grid of epsilon."""

    methods: ClassVar[tuple[str, ...]] = (
        "ant_1x1", *(name for name in get_args(Variant) if name not in ("ant_1x1", "vanilla"))
    )  # fmt: skip
    searched: ClassVar[dict[str, str]] = {"epsilon": "--epsilons"}

    epsilons: tuple[float, ...] | None = Field(
        None,
        description="Grid of epsilon, or of the number of another --method. Default: by --scale.",
    )

    @field_validator("epsilons", mode="before")
    @classmethod
    def _epsilons(cls, given: object) -> object:
        return real_numbers(given, above=0)

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        if "method" in found or not self.epsilons:
            return found
        rule = strength_problem(self.variant, scale_name(self), self.epsilons, self.benchmark)
        return found | ({"epsilons": rule} if rule else {})


def main() -> int:
    """Run the sweep; return its exit code."""
    options = parse(Options, __doc__ or "", check=line_problems)
    from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(line_spec(options, options.epsilons), options)


if __name__ == "__main__":
    leave(main)
