"""One searched hyper-parameter: real, whole or a choice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

Value = float | int | str
Point = tuple[Value, ...]
"""One value for each parameter of a space, in the space's order."""
VARIANT = "variant"
"""The parameter whose values are names of training methods."""


@dataclass(frozen=True)
class Real:
    """A real hyper-parameter, its legal range and the paper's value.

    Attributes:
        name: the training method's own name for it.
        low: least value that the search proposes, inclusive.
        high: greatest value that the search proposes.
        step: values are multiples of it, so that no two trials differ by less.
        unit: for axes and tables.
        paper: the paper's choice; None if it made none.
        log: whether equal ratios, rather than equal differences, are equally far apart.
    """

    name: str
    low: float
    high: float
    step: float
    unit: str
    paper: float | None
    log: bool = False

    def distribution(
        self, low: float | None = None, high: float | None = None
    ) -> "FloatDistribution":
        """Return Optuna's distribution over [low, high], by default over the whole range.

        It has no step of its own: a sampler must accept values on a step or not.
        """
        from optuna.distributions import FloatDistribution  # slow: only a search needs it

        return FloatDistribution(
            self.low if low is None else low, self.high if high is None else high, log=self.log
        )

    def steps(self, low: float, high: float) -> list[float]:
        """Return the multiples of the step in [low, high]."""
        first, last = math.ceil(low / self.step - 1e-6), math.floor(high / self.step + 1e-6)
        return [round(index * self.step, 10) for index in range(first, last + 1)]

    def nearest(self, value: float) -> float:
        """Return the multiple of the step in range that is nearest to ``value``."""
        return min(max(round(round(value / self.step) * self.step, 10), self.low), self.high)


@dataclass(frozen=True)
class Whole:
    """A hyper-parameter that is a whole number from ``low`` to ``high``, both inclusive."""

    name: str
    low: int
    high: int
    unit: str
    paper: int | None

    def distribution(self) -> "IntDistribution":
        """Return Optuna's distribution over the whole range."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high)

    def nearest(self, value: int) -> int:
        """Return ``value``: a proposal is legal already."""
        return value


@dataclass(frozen=True)
class Choice:
    """A hyper-parameter that is one of a few values, in the order of tables and axes."""

    name: str
    values: tuple[Value, ...]
    unit: str
    paper: Value | None

    def distribution(self) -> "CategoricalDistribution":
        """Return Optuna's distribution over the values."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def nearest(self, value: Value) -> Value:
        """Return ``value``: a proposal is legal already."""
        return value


Parameter = Real | Whole | Choice


def papers_point(space: Sequence[Parameter]) -> Point | None:
    """Return the paper's value of each parameter; None where it has none of one."""
    values = tuple(parameter.paper for parameter in space if parameter.paper is not None)
    return values if len(values) == len(space) else None


def contains(parameter: Parameter, value: Value) -> bool:
    """Return whether the search could propose ``value``; whatever its step."""
    if isinstance(parameter, Choice):
        return value in parameter.values
    return not isinstance(value, str) and parameter.low <= value <= parameter.high


def position(value: Value) -> tuple[bool, float, str]:
    """Return the key that sorts values of one parameter: numbers first, then words."""
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def value_text(value: Value) -> str:
    """Return a value, as short as possible with six digits."""
    if isinstance(value, str):
        return value
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e+")
