"""What a sweep asks: the sweep scripts are made of this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gon_core.config import Given, Method, Trained
from search_spaces.parameter import Parameter, Point, Value

Objective = Literal["corrupted", "clean"]


@dataclass(frozen=True)
class SweepSpec:
    """What a sweep asks.

    Attributes:
        name: names the sweep and its MLflow experiment, ``gon/<name>``.
        title: the question in words.
        space: what is searched; each parameter is a field of the training method.
        method: from the parameters' values by name to the training method.
        search: ``line``: a grid, then Optuna refines around the best; ``grid``: the grid alone;
            ``joint``: Optuna proposes points in the whole space.
        coarse_grid: the points to begin with at demo scale.
        paper_grid: those at paper scale.
        proposals: how many points Optuna adds, by scale.
        deviations: what of the method is smaller than in the paper, in words.
        published: where the paper's answer stands in ``gon_core.paper``, for the report.
        nearest_legal: from any point of a joint search to the one that is run instead.
        objectives: what is maximised, of the validation images.
        warm_start: folders of earlier sweeps to learn from.
        baselines: methods by name that are trained beside what is searched, to compare it with.
            Each has a point too, of its name alone: ``("vanilla",)``.
    """

    name: str
    title: str
    space: tuple[Parameter, ...]
    method: Callable[..., Method]
    search: Literal["line", "grid", "joint"]
    coarse_grid: Sequence[Point] = ()
    paper_grid: Sequence[Point] = ()
    proposals: dict[str, int] = field(default_factory=lambda: {"demo": 1, "paper": 6})
    deviations: tuple[str, ...] = ()
    published: dict[str, Any] | None = None
    objectives: tuple[Objective, ...] = ("corrupted",)
    warm_start: tuple[str, ...] = ()
    nearest_legal: Callable[[Point], Point] = tuple
    baselines: Mapping[str, Trained] = field(default_factory=dict)

    def point(self, method: Trained | Given) -> Point:
        """Return the values of the searched parameters in ``method``, or a baseline's point."""
        for name, baseline in self.baselines.items():
            if method == baseline:
                return (name,)
        return self.searched_point(method)

    def searched_point(self, method: Trained | Given) -> Point:
        """Return the values of the searched parameters in ``method``.

        Raises:
            AttributeError: it lacks one.
        """
        return tuple(getattr(method, parameter.name) for parameter in self.space)

    def method_at(self, point: Point) -> Method:
        """Return the training method of a point, or of a baseline's."""
        if self.is_baseline(point):
            return self.baselines[str(point[0])]
        return self.method(**self.values(point))

    def is_baseline(self, point: Point) -> bool:
        """Whether a point is a baseline's."""
        return len(point) == 1 and point[0] in self.baselines

    def fixed(self, points: Sequence[Point]) -> dict[str, Any]:
        """Return the fields of the method that the sweep leaves as they are.

        Args:
            points: of a comparison of methods; their fields are told for each.
        """
        if any(parameter.name == "variant" for parameter in self.space):
            methods = {str(point[0]): self.method(**self.values(point)) for point in points}
            return {name: method.model_dump(mode="json") for name, method in methods.items()}
        method = self.method(**{parameter.name: parameter.paper for parameter in self.space})
        searched = {parameter.name for parameter in self.space}
        values = method.model_dump(mode="json")
        return {name: value for name, value in values.items() if name not in searched}

    def values(self, point: Point) -> dict[str, Value]:
        """Return the values of a point by parameter name; of a baseline the name of its method."""
        if self.is_baseline(point):
            return {"method": point[0]}
        return {parameter.name: value for parameter, value in zip(self.space, point, strict=True)}
