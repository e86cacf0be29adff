"""The training methods of the paper's tables at a scale, and what of them the scale cuts short."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from gon_core.config import VARIANTS, Trained
from search_spaces.parameter import Value
from search_spaces.strength import STRENGTHS
from sweeps.engine.planning.scales import SCALES
from sweeps.engine.planning.spec import with_values

# Of the paper's Table 6, by the method in ``VARIANTS`` that its model was trained with.
PUBLISHED_ROWS = {
    "vanilla": "vanilla_madry",
    "pgd": "pgd_madry",
    "ddn": "ddn",
    "gnt": "gnt_sigma_0.5",
    "ant_1x1": "ant_1x1",
}


def at_scale(variant: str, scale: str, **changes: Any) -> Trained:
    """Return a method as it is trained at a scale.

    Args:
        variant: its name in ``VARIANTS``.
        scale: a name in ``SCALES``.
        changes: fields that are otherwise.

    Raises:
        ValidationError: an illegal value among the changes.
    """
    method = VARIANTS[variant]
    short = SCALES[scale]
    fields = short.ant if method.method == "ant" else short.methods.get(method.method, {})
    return type(method).model_validate(method.model_dump() | fields | changes)


def strength_problem(variant: str, scale: str, values: Iterable[Value]) -> str:
    """Return which strengths a method does not allow, in words; empty if it allows all."""
    method, name, faults = at_scale(variant, scale), STRENGTHS[variant].parameter.name, []
    for value in values:
        try:
            with_values(method, {name: value})
        except ValidationError as error:
            faults.append(f"{value:g}: {error.errors()[0]['msg'].lower()}")
    return f"for {variant}, {'; '.join(faults)}" if faults else ""


def deviations(variants: Iterable[str], scale: str) -> tuple[str, ...]:
    """Return what of these methods is otherwise than their authors have it, in words."""
    found = []
    for variant in dict.fromkeys(variants):
        changed = changes(variant, at_scale(variant, scale))
        found += [f"{variant}: {', '.join(changed)}"] if changed else []
    return tuple(found)


def changes(variant: str, method: Trained) -> list[str]:
    """Return which fields of a method are otherwise than its authors have them, in words."""
    whole = VARIANTS[variant]
    return [
        f"{name.replace('_', ' ')} {getattr(method, name):g} (not {getattr(whole, name):g})"
        for name in type(method).model_fields
        if getattr(method, name) != getattr(whole, name)
    ]


def published_row(method: Trained) -> str | None:
    """Return the row of the paper's Table 6 that a method stands beside, or None.

    It has the strength of that row and is as it is trained at some scale; what the scale cuts
    short is to be told beside it, see ``changes``.
    """
    variant = method.variant
    if variant not in PUBLISHED_ROWS:
        return None
    if variant in STRENGTHS:
        name = STRENGTHS[variant].parameter.name
        if getattr(method, name) != getattr(VARIANTS[variant], name):
            return None
    is_known = any(method == at_scale(variant, scale) for scale in SCALES)
    return PUBLISHED_ROWS[variant] if is_known else None
