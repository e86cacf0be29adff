"""The question of a line search over one method's strength, for whichever method is asked of."""

from typing import Any

from gon_core.config import ANT, VARIANTS
from search_spaces.parameter import Value
from search_spaces.strength import STRENGTHS
from sweeps.engine.cli.grids import line
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.ant_options import AntOptions
from sweeps.engine.planning.methods import PUBLISHED_ROWS, at_strength, deviations
from sweeps.engine.planning.scales import scale_name
from sweeps.engine.planning.spec import SweepSpec

PUBLISHED_SIGMAS: dict[str, Any] = {
    "curve": {"table": "mnist_c_vs_sigma", "x": "sigma", "y": "mnist_c_top1"},
    "rows": [
        {"point": [0.0], "table": "mnist_c_top1", "model": "vanilla_madry"},
        {"point": [0.5], "table": "mnist_c_top1", "model": "gnt_sigma_0.5"},
    ],
}


def line_spec(options: SweepOptions) -> SweepSpec:
    """Return the question how strong ``--method`` should be."""
    variant, scale = options.variant, scale_name(options)
    strength = STRENGTHS[variant]
    parameter = strength.parameter
    is_ant = isinstance(VARIANTS[variant], ANT)
    names = {"gnt": "sigma", "ant_1x1": "epsilon"}
    titles = {
        "gnt": "Which sigma of Gaussian noise training?",
        "ant_1x1": "How large an epsilon sphere for adversarial noise training?",
    }
    published = PUBLISHED_SIGMAS if variant == "gnt" else _published(variant, parameter.paper)

    def method(**values: Value):
        if is_ant and isinstance(options, AntOptions):
            return options.ant(**values)
        return at_strength(variant, scale, values[parameter.name])

    own_deviations = options.deviations() if is_ant and isinstance(options, AntOptions) else ()
    return SweepSpec(
        name=names.get(variant, f"{variant}_{parameter.name}"),
        title=titles.get(variant, f"Which {parameter.name} of {variant}?"),
        space=(parameter,),
        method=method,
        search="line",
        coarse_grid=line(strength.coarse_grid),
        paper_grid=line(strength.paper_grid),
        deviations=own_deviations or deviations([variant], scale),
        published=published,
    )


def _published(variant: str, paper: float) -> dict[str, Any] | None:
    if variant not in PUBLISHED_ROWS:
        return None
    model = PUBLISHED_ROWS[variant]
    return {"rows": [{"point": [paper], "table": "mnist_c_top1", "model": model}]}
