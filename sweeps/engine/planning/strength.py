"""A line search over the strength of one training method, whichever it is."""

from collections.abc import Sequence
from typing import Any

from gon_core.config import ANT
from search_spaces.strength import STRENGTHS
from sweeps.engine.cli.grids import line
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import PUBLISHED_ROWS, at_scale, deviations
from sweeps.engine.planning.scales import scale_name
from sweeps.engine.planning.spec import SweepSpec

TITLES = {
    "gnt": "Which sigma of Gaussian noise training?",
    "ant_1x1": "How large an epsilon sphere for adversarial noise training?",
}
NAMES = {"gnt": "sigma", "ant_1x1": "epsilon"}
PUBLISHED_SIGMAS: dict[str, Any] = {
    "curve": {"table": "mnist_c_vs_sigma", "x": "sigma", "y": "mnist_c_top1"},
    "rows": [
        {"point": [0.0], "table": "mnist_c_top1", "model": "vanilla_madry"},
        {"point": [0.5], "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
    ],
}


def line_spec(options: SweepOptions, values: Sequence[float] | None = None) -> SweepSpec:
    """Return the search for how strong ``--method`` should be.

    Args:
        options: legal ones.
        values: the grid to begin with, or None for that of the scale.
    """
    variant, scale = options.variant, scale_name(options)
    strength = STRENGTHS[variant]
    parameter = strength.parameter
    method, reduced = at_scale(variant, scale), deviations([variant], scale)
    if isinstance(method, ANT) and isinstance(options, AntOptions):
        method, reduced = options.ant(), options.deviations() or reduced
    by_scale = strength.paper_grid if scale == "paper" else strength.coarse_grid
    return SweepSpec(
        name=NAMES.get(variant, f"{variant}_{parameter.name}"),
        title=TITLES.get(variant, f"Which {parameter.name} of {variant}?"),
        space=(parameter,),
        search="line",
        grid=line(values or by_scale),
        method=method,
        deviations=reduced,
        published=_published(variant, parameter.paper),
    )


def _published(variant: str, paper: float) -> dict[str, Any] | None:
    if variant == "gnt":
        return PUBLISHED_SIGMAS
    if variant not in PUBLISHED_ROWS:
        return None
    model = PUBLISHED_ROWS[variant]
    return {"rows": [{"point": [paper], "table": "mnist_c_top1", "model": model}]}
