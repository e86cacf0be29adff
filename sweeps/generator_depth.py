"""How deep should the noise generator be, and with 1x1 or 3x3 kernels? (Table 11 of the paper)

Every depth with both kernels, several seeds each; prints Table 11's columns, the number of
parameters and the accuracies, beside ours. The paper's own figures are for ImageNet-C, and on
ImageNet they stand in the figure too.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from search_spaces.generator_depth import DEPTH, KERNEL_SIZE, rows
from sweeps.engine.cli.grids import whole_numbers
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import printed_rows
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(AntOptions):
    """The options of every sweep over ANT, and the rows of the table."""

    examples: ClassVar[dict[str, str]] = {
        "--depths 1 4 --kernel-sizes 1 3 --method vanilla pgd": "beside two other methods",
        **AntOptions.examples,
    }

    searched: ClassVar[dict[str, str]] = {"depth": "--depths", "kernel_size": "--kernel-sizes"}

    depths: Annotated[tuple[int, ...] | None, whole_numbers(range(1, 9))] = Field(
        None, description="Convolutions of the generator, each 1 to 8. Default: 1 to 5."
    )
    kernel_sizes: Annotated[tuple[int, ...] | None, whole_numbers((1, 3))] = Field(
        None, description="Kernels of the generator; depth 1 has none of 3x3. Default: 1 and 3."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        has_rows = rows(self.depths, self.kernel_sizes)
        return super().problems() | (
            {} if has_rows else {"depths": "depth 1 has no layer to be 3x3"}
        )


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    searched = SweepSpec(
        name="generator_depth",
        title="How deep a noise generator, and with which kernels?",
        space=(DEPTH, KERNEL_SIZE),
        search="grid",
        grid=rows(options.depths, options.kernel_sizes),
        method=options.ant(),
        deviations=options.deviations(),
    )
    published: dict[str, Any] = {"table_11": "generator_depth_imagenet_c"}
    if beside := printed_rows("11", searched, options):
        published["rows"] = beside
    return replace(searched, published=published)


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
