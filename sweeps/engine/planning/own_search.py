"""A search of a user's own question, from Python: its space, its options, and what it searches."""

import hashlib
import inspect
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from pydantic import Field, ValidationError

from gon_core.config import GNT, OwnFunction, TrainingConfig
from search_spaces.parameter import Choice, Parameter, Point, Real, Value, Whole
from sweeps.engine.cli.messages import hint
from sweeps.engine.cli.options import Sampler, SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.recipe import recipe
from sweeps.engine.planning.spec import SweepSpec, with_values

Space = Mapping[str, Sequence[Value]]
RESERVED = ("model", "seed", "method", "variant", "data", "start", "training", "initial_weights")
"""Names that a value of a training function cannot have: parts of a trial bear them."""
FINEST = 1_000  # steps in the range of a real number
RANGE = "must be a list of values, or a range: (low, high) or (low, high, 'log')"


class OwnOptions(SweepOptions):
    """The options of a user's own question: ``--method`` names what is searched."""

    sampler: Sampler = Field("tpe", description="Optuna's sampler, where there are ranges.")


class FunctionOptions(OwnOptions):
    """The options where a user's function trains: ``--method`` names the baselines alone."""

    @property
    def variant(self) -> str:
        """The method whose recipe gives limits and batch size."""
        return "vanilla"

    @property
    def trained(self) -> tuple[str, ...]:
        """The training methods beside the function."""
        return self.baselines

    @property
    def baselines(self) -> tuple[str, ...]:
        """The same."""
        return self.method or ()

    def problems(self) -> dict[str, str]:
        """Return what is wrong between options, by option name."""
        found = super().problems()
        if (self.processes_per_trial or 1) > 1:
            found["processes_per_trial"] = "must be 1: a function of one's own trains in one"
        return found


def parameters(space: Space) -> tuple[tuple[Parameter, ...], dict[str, str]]:
    """Return the searched parameters, and what is wrong with the others by name.

    Args:
        space: by name a list of values; or a tuple, the least and the greatest value of a range,
            of whole numbers if both are whole; with the word "log" if equal ratios are equally far.
    """
    found, faulty = [], {}
    for name, given in space.items():
        try:
            found.append(_parameter(name, given))
        except ValueError as error:
            faulty[name] = str(error)
    return tuple(found), faulty


def _parameter(name: str, given: Sequence[Value]) -> Parameter:
    if not isinstance(given, tuple):
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise ValueError(f"{RANGE}, given: {given!r}")
        values = tuple(given)
        if not all(isinstance(value, str) or _is_number(value) for value in values):
            raise ValueError(f"its values must be finite numbers or words, given: {given!r}")
        if len(set(values)) < len(values):
            raise ValueError(f"has a value twice, given: {given!r}")
        return Choice(name, values, "", None)
    low, high, *rest = given if len(given) > 1 else ("", "")
    if not _is_number(low) or not _is_number(high) or rest not in ([], ["log"]):
        raise ValueError(f"{RANGE}, given: {given!r}")
    if low >= high or (rest and low <= 0):
        rule = "must go up" if low >= high else "must be above 0 on a logarithmic scale"
        raise ValueError(f"{rule}, given: {given!r}")
    if isinstance(low, int) and isinstance(high, int) and not rest:
        return Whole(name, low, high, "", None)
    return Real(name, low, high, _step(low, high, bool(rest)), "", None, log=bool(rest))


def _is_number(value: object) -> TypeGuard[float | int]:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return False
    return math.isfinite(value)


def _step(low: float, high: float, log: bool) -> float:
    """Return a power of ten: fine beside the range, or beside its least value if it is ``log``."""
    return 10.0 ** math.floor(math.log10((low / 10) if log else (high - low) / FINEST))


def space_problems(
    options: OwnOptions, space: Space, function: Callable[..., None] | None
) -> dict[str, str]:
    """Return what is wrong with a space, by the name of a parameter."""
    found, faulty = parameters(space)
    if not space:
        return {"space": "has no parameter: give {'name': values}"}
    if function is not None:
        rule = f"is the name of a part of each trial, as are {', '.join(RESERVED)}"
        return faulty | {name: rule for name in space if name in RESERVED}
    method, training = methods.as_given(options.variant, options), recipe(options)
    own, shared = method.model_dump().keys() - {"method"}, training.model_dump().keys()
    for parameter in found:
        name = parameter.name
        if name not in own | shared and not hasattr(method, name):
            legal = sorted(own | shared)
            rule = f"is no field of {options.variant} or its training: {', '.join(legal)}"
            faulty[name] = rule + hint(name, legal)
            continue
        ends = (
            parameter.values if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        )
        for value in ends:
            try:
                if name in shared:
                    TrainingConfig.model_validate(training.model_dump() | {name: value})
                else:
                    with_values(method, {name: value})
            except ValidationError as error:
                faulty[name] = f"{value}: {error.errors()[0]['msg'].lower()}"
    return faulty


def own_spec(
    question: str, options: OwnOptions, space: Space, function: Callable[..., None] | None
) -> SweepSpec:
    """Return the search of a user's own question, in whose space there are no problems.

    It is the whole grid of a space of values; where there is a range, Optuna proposes all points.

    Args:
        question: in words.
        options: of the sweep.
        space: what is searched, by name.
        function: the user's training function; None where ``options.variant`` is searched.
    """
    searched, _ = parameters(space)
    choices = [parameter for parameter in searched if isinstance(parameter, Choice)]
    is_grid = len(choices) == len(searched)
    every = tuple(itertools.product(*(parameter.values for parameter in choices)))
    grid: tuple[Point, ...] = every if is_grid else ()
    scale, benchmark = methods.scale_name(options), options.benchmark
    name = re.sub(r"[^a-z0-9]+", "_", question.lower()).strip("_")[:40].strip("_")
    spec = SweepSpec(
        name=name or "question",
        title=question,
        space=searched,
        search="grid" if is_grid else "joint",
        grid=grid,
        method=_own_method(function) if function else methods.as_given(options.variant, options),
        function=function,
        proposals={"demo": 12, "paper": 60},
        deviations=() if function else methods.deviations([options.variant], scale, benchmark),
    )
    return spec if function else replace(spec, published=_published(spec, options))


def _published(spec: SweepSpec, options: OwnOptions) -> dict[str, Any] | None:
    """Return where the published figures of the points of a method stand; None if nowhere.

    A row stands beside a value that is trained by the benchmark's recipe, a curve beside values of
    the method's strength alone. Of a range it is not known which points will be proposed.
    """
    if not spec.grid:
        return None
    benchmark, training = options.benchmark, recipe(options).model_dump()
    points: dict[str, Point] = {}
    for point in spec.grid:
        method, values = spec.method_at(point), spec.values(point)
        assert not isinstance(method, OwnFunction), "a function was never published"
        is_clean = isinstance(method, GNT) and method.sigma == 0  # it trains on clean images
        is_known = is_clean or methods.published_row(method, benchmark)
        if is_known and all(training.get(name, value) == value for name, value in values.items()):
            points.setdefault("vanilla" if is_clean else method.variant, point)
    strength = benchmark.strengths.get(options.variant)
    is_alone = strength and [each.name for each in spec.space] == [strength.parameter]
    return methods.published_rows(points, benchmark, curve_of=options.variant if is_alone else "")


def _own_method(function: Callable[..., None]) -> OwnFunction:
    return OwnFunction(name=function.__name__, sha256=hashlib.sha256(source(function)).hexdigest())


def source(function: Callable[..., None]) -> bytes:
    """Return the source of a function, as far to the left as it goes.

    Raises:
        ValueError: it is not to be had, or is not that of the function alone.
    """
    if getattr(function, "__name__", "<lambda>") == "<lambda>":
        raise ValueError("must have a name: define it by def")
    try:
        return textwrap.dedent(inspect.getsource(function)).encode()
    except (OSError, TypeError) as error:
        raise ValueError(f"its source is not to be had ({error}): define it by def") from None
