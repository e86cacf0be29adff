"""The searched parameters as sweep.json describes them: how points are ordered and written."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from gon_core.config import TrialConfig
from search_spaces.parameter import Choice, Parameter, Point, Real, Value, Whole, position

LONGEST = 32  # letters of a name in a figure
CHECKPOINT = "checkpoint"  # the unit of models that were trained already


def point_of(
    config: TrialConfig, parameters: Sequence[Parameter], baselines: Mapping[str, Any]
) -> Point:
    """Return the trial's values of the searched parameters; of a baseline its name alone.

    Args:
        config: of the trial.
        parameters: that are searched.
        baselines: by name, the fields of the methods that were trained beside the search.
    """
    if baselines:
        fields = config.method.model_dump(mode="json")
        for name, baseline in baselines.items():
            if fields == baseline:
                return (name,)
    return tuple(getattr(config.method, parameter.name) for parameter in parameters)


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


def value_text(value: Value) -> str:
    """Return a value, as short as possible with six digits."""
    if isinstance(value, str):
        return value
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e+")


def label(parameter: Parameter) -> str:
    """Return what pages call a parameter: its name, but for checkpoints, which are no variants."""
    return CHECKPOINT if parameter.unit == CHECKPOINT else parameter.name


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


def column_type(parameter: Parameter) -> pa.DataType:
    """Return the type of the parameter's column in a file: text if a word is among its values."""
    if isinstance(parameter, Real):
        return pa.float64()
    if isinstance(parameter, Whole):
        return pa.int64()
    if any(isinstance(value, str) for value in parameter.values):
        return pa.string()
    if all(isinstance(value, int) for value in parameter.values):
        return pa.int64()
    return pa.float64()


def column_value(parameter: Parameter, value: Value) -> Value:
    """Return a value as ``column_type`` holds it."""
    if pa.types.is_string(column_type(parameter)):
        return value_text(value)
    return value
