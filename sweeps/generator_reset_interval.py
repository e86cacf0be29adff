"""How often should a fresh noise generator take over? From every tenth of an epoch to never.

The paper replaces the generator every 0.33 epochs; the replaced one joins the past generators of
experience replay. With ``never`` there are none, and the current generator takes their share.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import Annotated, ClassVar

from pydantic import Field

from search_spaces.reset_interval import COARSE_GRID, RESET_INTERVAL
from sweeps.engine.cli.grids import line, real_numbers
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import published_rows, scale_name
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and the intervals."""

    examples: ClassVar[dict[str, str]] = {
        "--reset-intervals 0.5 1 never": "half an epoch, an epoch, and never",
        **AntOptions.examples,
    }

    searched: ClassVar[dict[str, str]] = {"reset_interval": "--reset-intervals"}

    reset_intervals: Annotated[
        tuple[float | str, ...] | None, real_numbers(above=0, words=("never",))
    ] = Field(None, description="Epochs, each > 0, or never. Default: by --scale.")


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    method = options.ant()
    by_scale = RESET_INTERVAL.values if scale_name(options) == "paper" else COARSE_GRID
    return SweepSpec(
        name="reset_interval",
        title="How often should a fresh noise generator take over?",
        space=(RESET_INTERVAL,),
        search="grid",
        grid=line(options.reset_intervals or by_scale),
        method=method,
        deviations=options.deviations(),
        published=published_rows({method.variant: (0.33,)}, options.benchmark),
    )


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
