"""What a sweep searches, as data: the sweep scripts are made of this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gon_core.config import ANT, GNTMult, OwnFunction, Speckle, Trained, TrialConfig
from search_spaces.parameter import VARIANT, Parameter, Point, Value

Objective = Literal["corrupted", "clean"]


@dataclass(frozen=True)
class SweepSpec:
    """What a sweep searches.

    Attributes:
        name: names the sweep and its MLflow experiment, ``gon/<name>``.
        title: the research question.
        space: the searched parameters; each is a field of ``method``, see ``with_values``, or of
            the training or the trial, see ``TrialConfig.value_of``.
        search: ``line``: a grid, then Optuna refines around the best; ``grid``: the grid alone;
            ``joint``: Optuna proposes points in the whole space.
        grid: the points to begin with.
        method: the training method whose searched fields are replaced; None in a comparison.
        function: the training function, where the method is a user's own.
        compared: in a comparison, the training methods by the name that ``variant`` has in a point.
        proposals: how many points Optuna adds by default, by scale.
        deviations: what of the methods deviates from the paper, in words.
        published: where the paper's figures stand in ``gon_core.paper``, for the report.
        nearest_legal: from any point of a joint search to the one that is run instead.
        objectives: what is maximised, of the validation images.
        warm_start: folders of earlier sweeps to learn from.
        baselines: methods by name that are trained beside what is searched, to compare it with.
            Each has a point of its name alone: ``("vanilla",)``.
    """

    name: str
    title: str
    space: tuple[Parameter, ...]
    search: Literal["line", "grid", "joint"]
    grid: tuple[Point, ...] = ()
    method: Trained | OwnFunction | None = None
    function: Callable[..., None] | None = None
    compared: Mapping[str, Trained] = field(default_factory=dict)
    proposals: Mapping[str, int] = field(default_factory=lambda: {"demo": 1, "paper": 6})
    deviations: tuple[str, ...] = ()
    published: dict[str, Any] | None = None
    nearest_legal: Callable[[Point], Point] = tuple
    objectives: tuple[Objective, ...] = ("corrupted",)
    warm_start: tuple[str, ...] = ()
    baselines: Mapping[str, Trained] = field(default_factory=dict)

    @property
    def baseline_points(self) -> list[Point]:
        """The points of the methods that are trained beside what is searched."""
        return [(name,) for name in self.baselines]

    def varied(self, variant: str) -> set[str]:
        """Return the fields of a method's training that the sweep varies, or that are not known.

        A user's own function has no learning rate that is known here.
        """
        if isinstance(self.method, OwnFunction):
            return {"learning_rate", "decays"} if variant == self.method.variant else set()
        return {parameter.name for parameter in self.space}

    def point(self, config: TrialConfig) -> Point:
        """Return the point of a trial: its searched fields; of a baseline its name alone.

        Raises:
            AttributeError: it lacks a searched field.
        """
        for name, named in self.baselines.items():
            if config.method == named:
                return (name,)
        names = [name for name, named in self.compared.items() if config.method == named]
        return tuple(
            names[0] if names and parameter.name == VARIANT else config.value_of(parameter.name)
            for parameter in self.space
        )

    def method_at(self, point: Point) -> Trained | OwnFunction:
        """Return the training method of a point.

        Raises:
            ValidationError: the method allows no such values.
        """
        if len(point) == 1 and (baseline := self.baselines.get(str(point[0]))):
            return baseline
        values = self.values(point)
        if self.method is None:
            return self.compared[str(values[VARIANT])]
        if isinstance(self.method, OwnFunction):
            return self.method.model_copy(update={"values": self.method.values | values})
        own = {name: value for name, value in values.items() if hasattr(self.method, name)}
        return with_values(self.method, own)

    def fixed(self) -> dict[str, Any]:
        """Return the fields that the sweep leaves as they are; in a comparison, of each method."""
        if self.method is None:
            return {name: found.model_dump(mode="json") for name, found in self.compared.items()}
        searched = {parameter.name for parameter in self.space}
        values = self.method.model_dump(mode="json")
        return {name: value for name, value in values.items() if name not in searched}

    def values(self, point: Point) -> dict[str, Value]:
        """Return the values of a point by parameter name; of a baseline the name of its method."""
        if len(point) == 1 and point[0] in self.baselines:
            return {"method": point[0]}
        return {parameter.name: value for parameter, value in zip(self.space, point, strict=True)}


def with_values(method: Trained, values: Mapping[str, Value]) -> Trained:
    """Return a training method with other values of some fields.

    Several sigmas keep their ratios where ``largest_sigma`` is given. The current generator gets
    what the other shares of a batch leave, unless its own share is given.

    Args:
        method: whose other fields stay.
        values: by field, or property, of the method.

    Raises:
        ValidationError: the method allows no such values.
    """
    fields: dict[str, Any] = method.model_dump() | dict(values)
    if isinstance(method, GNTMult | Speckle) and "largest_sigma" in values:
        largest = fields.pop("largest_sigma")
        fields["sigmas"] = tuple(
            largest if sigma == method.largest_sigma
            else round(sigma / method.largest_sigma * float(largest), 6)
            for sigma in method.sigmas
        )  # fmt: skip
    shares = {"clean_share", "past_share"}
    if isinstance(method, ANT) and shares & values.keys() and "current_share" not in values:
        rest = 1 - fields["clean_share"] - fields["past_share"]
        fields["current_share"] = round(rest, 10)
    return type(method).model_validate(fields)
