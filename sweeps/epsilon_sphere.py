"""How large should adversarial noise be? The best epsilon sphere for training on it.

A line search as for sigma (appendix B of the paper): a coarse grid, then Optuna refines around the
best. The figure's second axis shows the Gaussian sigma whose noise is as large on these images.
With --method it searches the size of another method's perturbations instead. With --kernel-size 3
ANT 1x1 is trained as well, to see which epsilon makes the training as hard (appendix B: 70 beside
135 on ImageNet).
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from dataclasses import replace
from typing import Annotated, ClassVar, get_args

from pydantic import Field

from gon_core.config import ANT, WITHOUT_STRENGTH, Variant
from sweeps.engine.cli.grids import real_numbers
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import strength_problems
from sweeps.engine.planning.plan import line_problems
from sweeps.engine.planning.spec import SweepSpec, with_values
from sweeps.engine.planning.strength import line_spec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and the grid of epsilon."""

    examples: ClassVar[dict[str, str]] = {
        "--epsilons 2 5 10 --num-trials 3": "a grid of your own, then three proposals of Optuna",
        **AntOptions.examples,
    }

    methods: ClassVar[tuple[str, ...]] = (
        "ant_1x1",
        *(name for name in get_args(Variant) if name not in ("ant_1x1", *WITHOUT_STRENGTH)),
    )  # fmt: skip
    searched: ClassVar[dict[str, str]] = {"epsilon": "--epsilons"}

    epsilons: Annotated[tuple[float, ...] | None, real_numbers(above=0)] = Field(
        None,
        description="Grid of epsilon, or of the number of another --method. Default: by --scale.",
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        return super().problems() | strength_problems(self, "epsilons")


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    searched = line_spec(options, options.epsilons)
    if not isinstance(searched.method, ANT) or searched.method.kernel_size == 1:
        return searched
    epsilon = options.benchmark.ant("ant_1x1").epsilon
    plain = with_values(searched.method, {"kernel_size": 1, "epsilon": epsilon})
    return replace(searched, baselines={plain.variant: plain})


SWEEP = Script(Options, __doc__, spec, line_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
