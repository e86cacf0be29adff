"""What can be measured of a final model: one line for each measure. Imports no torch."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from gon_core.measurement import TOP1
from gon_core.names import nearest


class Entry(NamedTuple):
    """Where a measure is.

    Attributes:
        load: imports and returns its ``gon_core.evaluation.measure.Measure``.
        makes_severities: whether it makes severities of the corruptions, which a published set of
            corrupted images lacks.
    """

    load: Callable[[], Any]
    makes_severities: bool = False


MEASURES: dict[str, Entry] = {
    TOP1: Entry(lambda: import_module("gon_core.evaluation.top1").MEASURE),
    "severities": Entry(
        lambda: import_module("gon_core.evaluation.severities").MEASURE, makes_severities=True
    ),
    "attacks": Entry(lambda: import_module("gon_core.evaluation.under_attack").MEASURE),
    "epsilon_star": Entry(lambda: import_module("gon_core.evaluation.epsilon_star").MEASURE),
}
"""By the name that options and rows have, in the order in which they are measured."""


def choices() -> tuple[str, ...]:
    """Return the measures that ``--evaluate`` may name: accuracy is measured in any case."""
    return tuple(name for name in MEASURES if name != TOP1)


def in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return measures in the order of ``MEASURES``.

    Raises:
        ValueError: a name that ``--evaluate`` may not have.
    """
    for name in names:
        if name not in choices():
            raise ValueError(f"there is no measure {name!r}, nearest is {nearest(name, choices())}")
    return tuple(name for name in choices() if name in names)
