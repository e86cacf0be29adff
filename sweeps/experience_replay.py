"""Does experience replay help adversarial noise training? With past generators, and without.

"w/o EP" in Tables 4 and 5 of the paper: half of each batch is clean, and the noise of the other
half comes from the current generator alone, or in part from past ones.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import ClassVar

from search_spaces.experience_replay import PAST_SHARE
from sweeps.engine.cli.grids import line
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import published_rows
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT."""

    examples: ClassVar[dict[str, str]] = {
        "--epsilon 10 --seeds 5": "at one size of the noise, with five seeds",
        **AntOptions.examples,
    }

    searched: ClassVar[dict[str, str]] = {"past_share": "", "current_share": ""}


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    method = options.ant()
    beside = {method.variant: (0.2,), f"{method.variant}_without_replay": (0.0,)}
    return SweepSpec(
        name="experience_replay",
        title="Does experience replay help adversarial noise training?",
        space=(PAST_SHARE,),
        search="grid",
        grid=line(PAST_SHARE.values),
        method=method,
        deviations=options.deviations(),
        published=published_rows(beside, options.benchmark),
    )


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
