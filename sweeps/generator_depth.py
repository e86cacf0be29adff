"""How deep should the noise generator be, and with 1x1 or 3x3 kernels? (Table 11 of the paper)

Every depth with both kernels, several seeds each; prints Table 11's columns, the number of
parameters and the accuracies, beside ours. The paper's own figures are for ImageNet-C.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import ClassVar

from pydantic import Field, field_validator

from search_spaces.generator_depth import DEPTH, GRID, KERNEL_SIZE
from sweeps.engine.cli.command_line import parse
from sweeps.engine.cli.grids import whole_numbers
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and the rows of the table."""

    searched: ClassVar[dict[str, str]] = {"depth": "--depths", "kernel_size": "--kernel-sizes"}

    depths: tuple[int, ...] | None = Field(
        None, description="Convolutions of the generator, each 1 to 8. Default: 1 to 5."
    )
    kernel_sizes: tuple[int, ...] | None = Field(
        None, description="Kernels of the generator; depth 1 has none of 3x3. Default: 1 and 3."
    )

    @field_validator("depths", mode="before")
    @classmethod
    def _depths(cls, given: object) -> object:
        return whole_numbers(given, range(1, 9))

    @field_validator("kernel_sizes", mode="before")
    @classmethod
    def _kernel_sizes(cls, given: object) -> object:
        return whole_numbers(given, (1, 3))

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        empty = {"depths": "depth 1 has no layer to be 3x3"} if not rows(self) else {}
        return super().problems() | empty


def rows(options: Options) -> tuple[tuple[int, int], ...]:
    """Return the points (depth, kernel size) of the grid."""
    depths = options.depths or {depth for depth, _ in GRID}
    kernels = options.kernel_sizes or (1, 3)
    return tuple((d, k) for k in sorted(kernels) for d in sorted(depths) if (d, k) != (1, 3))


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    return SweepSpec(
        name="generator_depth",
        title="How deep a noise generator, and with which kernels?",
        space=(DEPTH, KERNEL_SIZE),
        search="grid",
        grid=rows(options),
        method=options.ant(),
        deviations=options.deviations(),
        published={"table_11": "generator_depth_imagenet_c"},
    )


def main() -> int:
    """Run the sweep; return its exit code."""
    options = parse(Options, __doc__ or "", check=grid_problems)
    from sweeps.engine.runs.sweep import run_sweep  # slow: bad input is refused before

    return run_sweep(spec(options), options)


if __name__ == "__main__":
    leave(main)
