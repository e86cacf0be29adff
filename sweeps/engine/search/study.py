"""The only door to Optuna: its samplers, and the studies that they look at.

Nothing here is stored: a study is rebuilt from the trial records, by way of the ledger.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from search_spaces.parameter import Choice, Parameter, Point, Value
from sweeps.engine.search.ledger import Ledger, Objectives

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SAMPLERS = ("gp", "tpe", "nsga2", "random")
LINE_SAMPLERS = ("gp", "tpe", "random")  # a population cannot evolve in a handful of points
LEVELS = 8
"""Of a tree behind the importances. What lies deeper fits chance. Without a limit it takes 5 to 9
times as long, and shares of 1,000 points change by half a percentage point, by 1.3 of very noisy
accuracies: by less than another choice of points changes them."""


def make_sampler(name: str, seed: int, startup: int, trials: int = 0) -> "BaseSampler":
    """Return Optuna's sampler of that name.

    Args:
        name: one of ``SAMPLERS``.
        seed: of its proposals.
        startup: random points before it learns (a genetic sampler: its first generation).
        trials: how many points it will propose in all; sets the size of a generation.
    """
    from optuna import samplers

    match name:
        case "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)
        case "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=startup or 3, constant_liar=True)
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=population_size(trials))
        case "random":
            return samplers.RandomSampler(seed=seed)
    raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


def population_size(trials: int) -> int:
    """Return how many points make a generation: a fifth of all, but 4 to 50."""
    return max(4, min(50, trials // 5))


def make_study(sampler: "BaseSampler", objectives: int) -> "Study":
    """Return an empty study in memory that maximises."""
    import optuna  # here, so that the workers, which import this module, need not load it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    directions: Any = ["maximize"] * objectives
    return optuna.create_study(directions=directions, sampler=sampler)


def complete_trial(
    point: Point, objectives: Objectives, distributions: dict[str, Any]
) -> "FrozenTrial":
    """Return Optuna's view of a point that was measured."""
    from optuna.trial import create_trial

    return create_trial(
        params=dict(zip(distributions, point, strict=True)),
        distributions=distributions,
        values=list(objectives),
    )


def known_trial(
    ledger: Ledger,
    point: Point,
    distributions: dict[str, Any],
    attributes: dict[str, Any] | None = None,
) -> "FrozenTrial":
    """Return Optuna's view of a point: complete, pruned, failed, or still running.

    A diverged point counts as pruned, so that samplers learn to stay away from it. What failed
    says nothing about its point.
    """
    from optuna.trial import TrialState, create_trial

    mean = ledger.mean(point)
    if mean is not None:
        state = TrialState.COMPLETE
    elif not ledger.is_settled(point):
        state = TrialState.RUNNING
    else:
        has_failed = any(status == "failed" for status, _ in ledger.entries[point].ended.values())
        state = TrialState.FAIL if has_failed else TrialState.PRUNED
    return create_trial(
        params=dict(zip(distributions, point, strict=True)),
        distributions=distributions,
        values=list(mean) if mean is not None else None,
        state=state,
        system_attrs=attributes,
    )


class Recorded(NamedTuple):
    """A recorded point of a search, for a study of Optuna.

    Attributes:
        point: the values of the searched parameters.
        state: ``COMPLETE``, ``PRUNED``, ``FAIL`` or ``RUNNING``, as Optuna names them.
        objectives: their means over seeds, in percent; None unless it is complete.
        begun, ended: when, as far as it is known.
        attributes: what else a person may want to see of it.
    """

    point: Point
    state: str
    objectives: Objectives | None
    begun: datetime | None
    ended: datetime | None
    attributes: dict[str, Any]


def recorded_study(
    name: str,
    space: Sequence[Parameter],
    objectives: Sequence[str],
    points: Iterable[Recorded],
    storage: str | None = None,
) -> "Study":
    """Return a study with all points of a search, each a trial, to look at with Optuna's tools.

    Args:
        name: of the study.
        space: the searched parameters.
        objectives: names of what is maximised.
        points: in the order of the search.
        storage: Optuna's URL of a database that keeps it, such as ``sqlite:///study.db``; None for
            memory.

    Raises:
        ValueError: the storage has a study of that name.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    directions: Any = ["maximize"] * len(objectives)
    try:
        study = optuna.create_study(directions=directions, study_name=name, storage=storage)
    except optuna.exceptions.DuplicatedStudyError:
        raise ValueError(f"{storage} has a study {name!r} already: give another name") from None
    with warnings.catch_warnings():  # "experimental" since 2023
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([f"{each} accuracy (%)" for each in objectives])
    known = list(points)
    distributions = {
        parameter.name: _wide_enough(parameter, [each.point[index] for each in known])
        for index, parameter in enumerate(space)
    }
    for number, each in enumerate(known):
        trial = create_trial(
            params=dict(zip(distributions, each.point, strict=True)),
            distributions=distributions,
            values=None if each.objectives is None else list(each.objectives),
            state=TrialState[each.state],
            user_attrs=each.attributes,
        )
        trial.number = number
        trial.datetime_start = each.begun or each.ended or datetime.now()
        trial.datetime_complete = None if each.state == "RUNNING" else each.ended
        study.add_trial(trial)
    return study


def _wide_enough(parameter: Parameter, values: Sequence[Value]) -> Any:
    """Return Optuna's distribution, widened to the values that a grid had beyond the range."""
    if isinstance(parameter, Choice):
        return replace(
            parameter, values=tuple(dict.fromkeys((*parameter.values, *values)))
        ).distribution()
    numbers = [value for value in values if not isinstance(value, str)]
    low: Any = min([parameter.low, *numbers])
    high: Any = max([parameter.high, *numbers])
    return replace(parameter, low=low, high=high).distribution()


def importances(
    space: Sequence[Parameter], known: Mapping[Point, Objectives], objective: int
) -> dict[str, float]:
    """Return how much of an objective's variation each parameter explains; they add up to 1.

    Args:
        space: the searched parameters.
        known: mean objectives by point; with fewer than four there are none.
        objective: index of the objective.

    References:
        Hutter et al., "An efficient approach for assessing hyperparameter importance", 2014: a
        functional analysis of variance over a random forest, as Optuna implements it, with trees
        of at most ``LEVELS`` levels.
    """
    if len(known) < 4 or len({objectives[objective] for objectives in known.values()}) < 2:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    distributions: dict[str, Any] = {p.name: p.distribution() for p in space}
    study = make_study(make_sampler("random", 0, 0), 1)
    study.add_trials(
        complete_trial(point, (objectives[objective],), distributions)
        for point, objectives in known.items()
    )
    evaluator = FanovaImportanceEvaluator(seed=0, max_depth=LEVELS)
    return dict(get_param_importances(study, evaluator=evaluator))
