"""The scale of a sweep, the training methods at it, and how these deviate from the paper's."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from gon_core import architectures
from gon_core.benchmarks import Benchmark, Scale, ScaleName
from gon_core.config import Trained
from gon_core.paper.imagenet import PRINTED, trained_by
from search_spaces.backbones import MODEL
from search_spaces.parameter import Point
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.spec import SweepSpec, with_values
from sweeps.engine.resources import resources


def scale_name(options: SweepOptions) -> ScaleName:
    """Return the scale of the options: by default the paper's where there is a GPU, else a demo."""
    on_gpus = resources.capacity(options).largest.gpus or (
        options.address and options.gpus_per_trial
    )
    return options.scale or ("paper" if on_gpus else "demo")


def scale_of(options: SweepOptions) -> Scale:
    """Return how much is run, of the benchmark at the scale of the options."""
    return options.benchmark.scales[scale_name(options)]


def stylized_digest(options: SweepOptions) -> str | None:
    """Return the SHA-256 of stylised training images; None if none are given."""
    find = options.benchmark.stylized
    if options.stylized_dir is None or options.data_dir is None or find is None:
        return None
    return find(options.data_dir, options.stylized_dir).digest


def at_scale(variant: str, scale: ScaleName, benchmark: Benchmark, **changes: Any) -> Trained:
    """Return a method of ``Benchmark.methods`` as it is trained at a scale.

    Raises:
        ValidationError: an illegal value among the changes.
    """
    method = benchmark.methods[variant]
    reduced = benchmark.scales[scale].methods.get(method.method, {})
    return type(method).model_validate(method.model_dump() | dict(reduced) | changes)


def as_given(variant: str, options: SweepOptions) -> Trained:
    """Return a method at the scale of the options, with what these alone decide of it."""
    changes = {"step_size": options.uat_step_size} if variant == "uat" else {}
    return at_scale(variant, scale_name(options), options.benchmark, **changes)


def strength_problems(options: SweepOptions, name: str) -> dict[str, str]:
    """Return which values of an option's grid the searched method or the benchmark refuses."""
    variant, benchmark, faults = options.variant, options.benchmark, []
    method = as_given(variant, options)
    known = benchmark.strengths[variant]
    for value in getattr(options, name) or ():
        try:
            with_values(method, {known.parameter: value})
        except ValidationError as error:
            faults.append(f"{value:g}: {error.errors()[0]['msg'].lower()}")
            continue
        if value > known.high:
            faults.append(f"{value:g}: must be at most {known.high:g} on {benchmark.title}")
    return {name: f"for {variant}, {'; '.join(faults)}"} if faults else {}


def deviations(variants: Iterable[str], scale: ScaleName, benchmark: Benchmark) -> tuple[str, ...]:
    """Return what of these methods deviates from their authors' values, in words."""
    found = []
    for variant in dict.fromkeys(variants):
        changed = changes(variant, at_scale(variant, scale, benchmark), benchmark)
        found += [f"{variant}: {', '.join(changed)}"] if changed else []
    return tuple(found)


def changes(variant: str, method: Trained, benchmark: Benchmark) -> list[str]:
    """Return which fields of a method deviate from its authors' values, in words."""
    whole = benchmark.methods[variant]
    return [
        f"{name.replace('_', ' ')} {getattr(method, name):g} (not {getattr(whole, name):g})"
        for name in type(method).model_fields
        if getattr(whole, name) is not None and getattr(method, name) != getattr(whole, name)
    ]


def published_row(method: Trained, benchmark: Benchmark) -> str | None:
    """Return the row of the paper's Table 6 that a method stands beside, or None.

    It has the strength of that row and is as it is trained at some scale; how the scale deviates
    from it is said beside it, see ``changes``.
    """
    variant, published = method.variant, benchmark.published
    if published is None or variant not in published.rows:
        return None
    if variant in benchmark.strengths:
        name = benchmark.strengths[variant].parameter
        if getattr(method, name) != getattr(benchmark.methods[variant], name):
            return None
    is_known = any(method == at_scale(variant, scale, benchmark) for scale in benchmark.scales)
    return published.rows[variant] if is_known else None


def published_rows(
    points: Mapping[str, Point], benchmark: Benchmark, attacks: bool = False, curve_of: str = ""
) -> dict[str, Any] | None:
    """Return where the paper's figures of methods stand, for the report; None if there are none.

    Args:
        points: by method, the point whose trials stand beside its row.
        benchmark: whose figures they are.
        attacks: whether the table of accuracies under attack is named too.
        curve_of: the method whose strength alone is searched, for a published curve over it.
    """
    published = benchmark.published
    if published is None:
        return None
    rows = [
        {"point": list(point), "table": published.top1, "model": published.rows[variant]}
        for variant, point in points.items()
        if variant in published.rows
    ]
    found: dict[str, Any] = {"rows": rows} if rows else {}
    if curve_of in published.curves:
        table, x, y = published.curves[curve_of]
        found["curve"] = {"table": table, "x": x, "y": y}
    if attacks and published.adversarial:
        found |= {"rows": rows, "table_7": published.adversarial}
    return found or None


def printed_rows(name: str, spec: SweepSpec, options: SweepOptions) -> list[dict[str, Any]]:
    """Return the rows of a table of the appendix that points of a sweep on ImageNet stand beside.

    Args:
        name: of the table in ``gon_core.paper.imagenet.PRINTED``.
        spec: whose grid is compared.
        options: of the sweep.

    Returns:
        As ``published_rows`` has them; none on other images than the networks of the table take.
    """
    benchmark, table, found = options.benchmark, PRINTED[name], []
    if benchmark.suites["test"].reference_errors is None or benchmark.published is None:
        return []
    usual = options.model or scale_of(options).model or benchmark.model
    for point in spec.grid:
        network = str(spec.values(point).get(MODEL, usual))
        if architectures.is_from_outside(network):
            continue
        is_its_size = architectures.describe(network).image_shape == benchmark.image_shape
        model = trained_by(spec.method_at(point), network) if is_its_size else None
        if model and (row := table.row(model)):
            found.append({"point": list(point), "table": table.sources[0], "model": row})
    return found
