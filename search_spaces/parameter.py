"""One searched hyper-parameter."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution


@dataclass(frozen=True)
class Parameter:
    """A real hyper-parameter, its legal range and the paper's value.

    Attributes:
        name: as the paper calls it.
        low: least legal value, inclusive.
        high: greatest value that the search proposes.
        step: values are multiples of it, so that no two trials differ by less.
        unit: for axes and tables.
        paper: the paper's choice.
    """

    name: str
    low: float
    high: float
    step: float
    unit: str
    paper: float

    def distribution(self, low: float, high: float) -> "FloatDistribution":
        """Return Optuna's distribution over [low, high].

        It has no step of its own: a sampler must accept the grid's values, on a step or not.
        """
        from optuna.distributions import FloatDistribution  # slow: only a search needs it

        return FloatDistribution(low, high)

    def steps(self, low: float, high: float) -> list[float]:
        """Return the multiples of the step in [low, high]."""
        first, last = math.ceil(low / self.step - 1e-6), math.floor(high / self.step + 1e-6)
        return [round(index * self.step, 10) for index in range(first, last + 1)]
