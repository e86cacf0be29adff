"""Which sigma of Gaussian noise training is most robust to corruptions that were never seen?

A coarse grid over the paper's range, then Optuna refines around the best; every point is trained
with several seeds from the same vanilla model. Draws the paper's Figure 2 from our own trials. With
--method it searches the one number of another training method instead.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import Annotated, ClassVar, get_args

from pydantic import Field

from gon_core.config import WITHOUT_STRENGTH, Variant
from sweeps.engine.cli.grids import real_numbers
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.methods import strength_problems
from sweeps.engine.planning.plan import line_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(SweepOptions):
    """The options of every sweep, and the grid of sigma."""

    examples: ClassVar[dict[str, str]] = {
        "--sigmas 0 0.3 0.6 --seeds 5": "a grid of your own, with five seeds",
        **SweepOptions.examples,
    }

    methods: ClassVar[tuple[str, ...]] = (
        "gnt", *(name for name in get_args(Variant) if name not in ("gnt", *WITHOUT_STRENGTH))
    )  # fmt: skip

    sigmas: Annotated[tuple[float, ...] | None, real_numbers(least=0)] = Field(
        None,
        description="Grid of sigma, or of the number of another --method. Default: by --scale.",
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        return super().problems() | strength_problems(self, "sigmas")


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    return line_spec(options, options.sigmas)


SWEEP = Script(Options, __doc__, spec, line_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
