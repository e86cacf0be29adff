"""Training methods that are trained beside what a sweep searches."""

from dataclasses import replace

from pydantic import ValidationError

from gon_core.benchmarks import ScaleName
from gon_core.config import Trained
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.spec import SweepSpec


def with_baselines(spec: SweepSpec, options: SweepOptions, scale: ScaleName) -> SweepSpec:
    """Return the spec with further methods that are trained beside what it searches."""
    names, benchmark = options.baselines, options.benchmark
    reduced = methods.deviations(names, scale, benchmark)
    return replace(
        spec,
        baselines={**{name: methods.as_given(name, options) for name in names}, **spec.baselines},
        deviations=tuple(dict.fromkeys((*spec.deviations, *reduced))),
    )


def baseline_problem(spec: SweepSpec) -> str:
    """Return which baselines are points of the search itself, in words; empty if none is."""
    names = [name for name, method in spec.baselines.items() if _is_point(spec, method)]
    return f"this sweep itself searches what is trained as {', '.join(names)}" if names else ""


def _is_point(spec: SweepSpec, method: Trained) -> bool:
    try:
        point = tuple(getattr(method, parameter.name) for parameter in spec.space)
        return replace(spec, baselines={}).method_at(point) == method
    except (AttributeError, ValidationError):  # it has no such parameter, or not such values
        return False
