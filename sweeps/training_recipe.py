"""Do batch size, decays or the start of the training matter? (appendix B of the paper)

One factor at a time around the recipe: other batch sizes, other numbers of decays, and training
from scratch, with random weights and the schedule of a vanilla training, instead of fine-tuning.
The paper saw no difference between batches, no benefit of a second decay, and worse results from
scratch.
"""

if __name__ == "__main__":
    from sweeps.engine.system.signals import end_on_signals

    end_on_signals()

from typing import Annotated, ClassVar, get_args

from pydantic import Field

from gon_core.config import Variant
from gon_core.config.training import MOST_BATCH, MOST_DECAYS
from search_spaces.training_recipe import points, space
from sweeps.engine.cli.grids import whole_numbers
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.plan import grid_problems
from sweeps.engine.planning.recipe import recipe
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.runs.script import Script
from sweeps.engine.system.leaving import leave


class Options(SweepOptions):
    """The options of every sweep, and what is varied."""

    methods: ClassVar[tuple[str, ...]] = (
        "gnt", *(name for name in get_args(Variant) if name not in ("gnt", "vanilla"))
    )  # fmt: skip
    searched: ClassVar[dict[str, str]] = {
        "batch_size": "--batch-sizes", "decays": "--decay-counts",
    }  # fmt: skip

    batch_sizes: Annotated[tuple[int, ...] | None, whole_numbers(range(1, MOST_BATCH + 1))] = Field(
        None, description="Images of a step. Default: 50 70 100, or the recipe's, half and twice."
    )
    decay_counts: Annotated[tuple[int, ...] | None, whole_numbers(range(MOST_DECAYS + 1))] = Field(
        None, description="At how many plateaus the rate falls by 10. Default: 0 1 2."
    )

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found, scale = super().problems(), methods.scale_of(self)
        if self.variant in (*scale.recipes, *scale.random_starts):
            found["method"] = f"{self.variant} has a recipe of its own, given: {self.variant}"
        if self.decay_counts is not None and recipe(self).is_scheduled:
            where = f"on {self.benchmark.title} at scale {methods.scale_name(self)}"
            found["decay_counts"] = f"the learning rate follows a schedule {where}, no plateaus"
        return found


def spec(options: Options) -> SweepSpec:
    """Return what is searched, and where."""
    variant, scale, benchmark = options.variant, methods.scale_name(options), options.benchmark
    usual = recipe(options)
    scratch = benchmark.scales[scale].start
    grid = points(usual, scratch, options.batch_sizes, options.decay_counts)
    return SweepSpec(
        name="training_recipe",
        title="Do batch size, decays or the start of the training matter?",
        space=space(usual),
        search="grid",
        grid=grid,
        method=methods.at_scale(variant, scale, benchmark),
        deviations=methods.deviations([variant], scale, benchmark),
        published=methods.published_rows({variant: grid[0]}, benchmark),
    )


SWEEP = Script(Options, __doc__, spec, grid_problems)
main = SWEEP.main

if __name__ == "__main__":
    leave(main)
