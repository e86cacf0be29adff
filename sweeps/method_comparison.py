"""Which training withstands corruptions and attacks best? Tables 6 and 7 of the paper, with ours.

Every method with several seeds, all from the same vanilla model and with the same number of epochs.
Each final model is measured under the benchmark's corruptions, under PGD and DDN attacks, by the
noise it takes to fool it (epsilon*) and at every severity of each corruption.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import ClassVar

from pydantic import Field

from gon_core import measures
from search_spaces.method import METHOD
from sweeps.engine.cli.command_options import Measures
from sweeps.engine.cli.grids import line
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.methods import scale_name
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(SweepOptions):
    """The options of every sweep; here --method takes several, and everything is measured."""

    examples: ClassVar[dict[str, str]] = {
        "--scale demo --seeds 1 --method gnt pgd": "two methods only, in minutes",
        **SweepOptions.examples,
    }

    several_methods: ClassVar[bool] = True

    evaluate: Measures = Field(
        measures.choices(), description="Further measures of final models. Default: all."
    )


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    scale, benchmark = scale_name(options), options.benchmark
    names = options.trained
    return SweepSpec(
        name="method_comparison",
        title="Which training withstands corruptions and attacks best?",
        space=(METHOD,),
        search="grid",
        grid=line(names),
        compared={name: methods.as_given(name, options) for name in names},
        deviations=methods.deviations(names, scale, benchmark),
        published=methods.published_rows(
            {name: (name,) for name in names}, benchmark, attacks=True
        ),
    )


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
