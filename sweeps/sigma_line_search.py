"""Which sigma of Gaussian noise training makes MNIST most robust to corruptions it never saw?

A coarse grid over the paper's range, then Optuna refines around the best; every point is trained
with several seeds from the same vanilla model. Draws the paper's Figure 2 from our own trials.
"""

from pydantic import Field, field_validator

from gon_core.config import GNT
from search_spaces.sigma import COARSE_GRID, PAPER_GRID, SIGMA
from sweeps.engine.command_line import leave, parse
from sweeps.engine.options import SweepOptions, line, real_numbers
from sweeps.engine.plan import line_problems
from sweeps.engine.question import Question

QUESTION = Question(
    name="sigma",
    title="Which sigma of Gaussian noise training?",
    space=(SIGMA,),
    method=GNT,
    search="line",
    coarse_grid=line(COARSE_GRID),
    paper_grid=line(PAPER_GRID),
    published={
        "curve": {"table": "mnist_c_vs_sigma", "x": "sigma", "y": "mnist_c_top1"},
        "rows": [
            {"point": [0.0], "table": "mnist_c_top1", "model": "vanilla_madry"},
            {"point": [0.5], "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
        ],
    },
)


class Options(SweepOptions):
    """The options of every sweep, and the grid of sigma."""

    sigmas: tuple[float, ...] | None = Field(
        None, description="Grid of sigma in [0, 1] pixel units, each >= 0. Default: by --scale."
    )

    @field_validator("sigmas", mode="before")
    @classmethod
    def _sigmas(cls, given: object) -> object:
        return real_numbers(given, least=0)


def main() -> int:
    """Run the sweep; return its exit code."""
    options = parse(Options, __doc__ or "", check=line_problems)
    from sweeps.engine.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(QUESTION, options, line(options.sigmas) if options.sigmas else None)


if __name__ == "__main__":
    leave(main)
