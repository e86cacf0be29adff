"""The searched parameters as sweep.json describes them: how points are ordered and written."""

from collections.abc import Sequence

from search_spaces.parameter import Choice, Parameter, Point, Value, position, value_text

LONGEST = 32  # letters of a name in a figure
CHECKPOINT = "checkpoint"  # the unit of models that were trained already


def order(parameters: Sequence[Parameter], point: Point) -> tuple[tuple, ...]:
    """Return the key that sorts points: by the first parameter, then by the next ones."""
    return tuple(map(value_order, parameters, point))


def value_order(parameter: Parameter, value: Value) -> tuple:
    """Return the key that sorts one parameter's values: ascending, words behind the numbers.

    The values of a choice that are listed in another order keep that order, others follow.
    """
    if isinstance(parameter, Choice):
        listed = list(parameter.values)
        if listed != sorted(listed, key=position):
            return listed.index(value) if value in listed else len(listed), position(value)
    return 0, position(value)


def label(parameter: Parameter) -> str:
    """Return what pages call a parameter: its name, but for checkpoints, which are no variants."""
    return CHECKPOINT if parameter.unit == CHECKPOINT else parameter.name


def with_unit(parameter: Parameter) -> str:
    """Return what an axis of a parameter is called, with its unit if it has one."""
    return f"{label(parameter)} (in {parameter.unit})" if parameter.unit else label(parameter)


def point_text(parameters: Sequence[Parameter], point: Point) -> str:
    """Return for example ``depth 4, kernel_size 1``."""
    named = zip(parameters, point, strict=True)
    return ", ".join(f"{label(parameter)} {value_text(value)}" for parameter, value in named)


def shorten(name: str) -> str:
    """Return a name of at most ``LONGEST`` letters, for a figure; the middle of others is left out.

    Names that begin or end alike stay distinct.
    """
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[: half - 1]}…{name[-half:]}"


def range_text(parameter: Parameter) -> str:
    """Return what the search may propose, for example ``3 to 14``."""
    if isinstance(parameter, Choice):
        return ", ".join(map(value_text, parameter.values))
    return f"{value_text(parameter.low)} to {value_text(parameter.high)}"
