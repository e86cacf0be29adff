"""Which adversarial noise training is best, everything tuned together?

Optuna proposes epsilon, depth, kernel size, reset interval, generator learning rate and replay
share; one objective is the accuracy on corrupted validation images, two are that and the clean one,
whose Pareto front is drawn. The report says which parameters matter.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from search_spaces.joint import NAMES, nearest_legal, space
from sweeps.engine.cli.grids import WHOLE_NUMBER
from sweeps.engine.cli.options import MOST_PROPOSALS, MOST_SEEDS, Sampler
from sweeps.engine.planning import warm_start
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.plan import problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and those of a joint search."""

    examples: ClassVar[dict[str, str]] = {
        "--objectives 2 --sampler nsga2 --num-trials 40": "a Pareto front",
        **AntOptions.examples,
    }

    searched: ClassVar[dict[str, str]] = dict.fromkeys((*NAMES, "current_share"), "")

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(
        1, description="Seeds per point; in a large space more points help more than more seeds."
    )
    num_trials: Annotated[int, Field(ge=1, le=MOST_PROPOSALS)] | None = Field(
        None, description="Points that Optuna proposes. Default: 12 (demo), 60 (paper)."
    )
    sampler: Sampler = Field(
        "tpe", description="Optuna's sampler: gp is a Gaussian process, nsga2 is genetic."
    )
    objectives: Annotated[Literal[1, 2], WHOLE_NUMBER] = Field(
        1, description="1: corrupted validation accuracy; 2: clean and corrupted, a Pareto front."
    )
    warm_start: tuple[str, ...] | None = Field(
        None, description="Folders of earlier sweeps that the sampler learns from. Default: none."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        return super().problems() | warm_start.problems(self.warm_start)


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    return SweepSpec(
        name="joint",
        title="Which adversarial noise training is best, everything tuned together?",
        space=space(options.benchmark),
        search="joint",
        method=options.ant(),
        proposals={"demo": 12, "paper": 60},
        deviations=options.deviations(),
        objectives=("corrupted",) if options.objectives == 1 else ("clean", "corrupted"),
        warm_start=options.warm_start or (),
        nearest_legal=nearest_legal,
    )


SWEEP = Script(Options, __doc__, spec, problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
