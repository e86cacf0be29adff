"""A line search over the strength of one training method, whichever it is."""

from collections.abc import Sequence
from typing import Any

from gon_core.benchmarks import Benchmark
from gon_core.config import ANT
from search_spaces.parameter import Point, Real, papers_point
from search_spaces.strength import strength
from sweeps.engine.cli.grids import line
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import as_given, deviations, published_rows, scale_name
from sweeps.engine.planning.spec import SweepSpec

TITLES = {
    "gnt": "Which sigma of Gaussian noise training?",
    "ant_1x1": "How large an epsilon sphere for adversarial noise training?",
}
NAMES = {"gnt": "sigma", "ant_1x1": "epsilon"}


def line_spec(options: SweepOptions, values: Sequence[float] | None = None) -> SweepSpec:
    """Return the search for how strong ``--method`` should be, from a grid or that of the scale."""
    variant, scale, benchmark = options.variant, scale_name(options), options.benchmark
    method = as_given(variant, options)
    reduced = deviations([variant], scale, benchmark)
    if isinstance(method, ANT) and isinstance(options, AntOptions):
        method, reduced = options.ant(), options.deviations() or reduced
    # Options may make it another variant, with 3x3 kernels, say.
    trained = method.variant if method.variant in benchmark.strengths else variant
    known, parameter = benchmark.strengths[trained], strength(benchmark, trained)
    by_scale = known.paper_grid if scale == "paper" else known.coarse_grid
    return SweepSpec(
        name=NAMES.get(variant, f"{variant}_{parameter.name}"),
        title=TITLES.get(variant, f"Which {parameter.name} of {variant}?"),
        space=(parameter,),
        search="line",
        grid=line(values or by_scale),
        method=method,
        deviations=reduced,
        published=_published(benchmark, method.variant, parameter),
    )


def _published(benchmark: Benchmark, variant: str, parameter: Real) -> dict[str, Any] | None:
    points: dict[str, Point] = {variant: papers_point([parameter]) or ()}
    if variant == "gnt":
        points = {"vanilla": (0.0,), **points}  # sigma 0 trains on clean images
    return published_rows(points, benchmark, curve_of=variant)
