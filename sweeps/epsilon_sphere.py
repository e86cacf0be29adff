"""How large should the adversarial noise be? The best epsilon sphere for ANT on MNIST.

A line search as for sigma (appendix B of the paper): a coarse grid, then Optuna refines around the
best. The figure's second axis shows the Gaussian sigma whose noise is as large on these images.
"""

from typing import ClassVar

from pydantic import Field, field_validator

from search_spaces.epsilon import COARSE_GRID, EPSILON, PAPER_GRID
from sweeps.engine.ant_options import AntOptions
from sweeps.engine.command_line import leave, parse
from sweeps.engine.options import line, real_numbers
from sweeps.engine.plan import line_problems
from sweeps.engine.question import Question


class Options(AntOptions):
    """The options of every sweep over ANT, and the grid of epsilon."""

    searched: ClassVar[dict[str, str]] = {"epsilon": "--epsilons"}

    epsilons: tuple[float, ...] | None = Field(
        None, description="Grid of epsilon, l2 norm on [0, 1] pixels, each > 0. Default: by "
        "--scale.",
    )  # fmt: skip

    @field_validator("epsilons", mode="before")
    @classmethod
    def _epsilons(cls, given: object) -> object:
        return real_numbers(given, above=0)


def question(options: Options) -> Question:
    """Return what is asked."""
    return Question(
        name="epsilon",
        title="How large an epsilon sphere for adversarial noise training?",
        space=(EPSILON,),
        method=options.ant,
        search="line",
        coarse_grid=line(COARSE_GRID),
        paper_grid=line(PAPER_GRID),
        cuts=options.cuts(),
        published={
            "rows": [{"point": [10.0], "table": "mnist_c_top1", "model": "ant_1x1"}],
        },
    )


def main() -> int:
    """Run the sweep; return its exit code."""
    options = parse(Options, __doc__ or "", check=line_problems)
    from sweeps.engine.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(
        question(options), options, line(options.epsilons) if options.epsilons else None
    )


if __name__ == "__main__":
    leave(main)
