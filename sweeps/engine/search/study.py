"""The only door to Optuna: its samplers, and the studies that they look at.

Nothing here is stored: a study is rebuilt from the trial records, by way of the ledger.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from search_spaces.parameter import Parameter, Point
from sweeps.engine.search.ledger import Ledger, Objectives
from sweeps.engine.search.told_points import last_begin, told_of

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler, TPESampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SAMPLERS = ("gp", "tpe", "nsga2", "random")
LINE_SAMPLERS = ("gp", "tpe", "random")  # a population cannot evolve in a handful of points
LEVELS = 8
"""Of a tree behind the importances. What lies deeper fits chance. Without a limit it takes 5 to 9
times as long, and shares of 1,000 points change by half a percentage point, by 1.3 of very noisy
accuracies: by less than another choice of points changes them."""


class GrowingStudy:
    """A study that is told of each point once, and once more when it has ended.

    Told of all points anew, as others are, it would cost each proposal more than the sampler does.
    Of very many points it is told of a part (``search.told_points``), so that a proposal
    costs the same however many there are. Only for samplers that look at nothing but the points and
    how they ended.

    Args:
        objectives: how many are maximised.
        earlier: objectives of the points of earlier sweeps.
    """

    def __init__(self, objectives: int, earlier: Mapping[Point, Objectives]) -> None:
        self._objectives, self._earlier = objectives, earlier
        self._study: Study | None = None
        self._begun_with = self._added = 0
        self._running: dict[Point, int] = {}

    def ask(
        self, sampler: "BaseSampler", ledger: Ledger, distributions: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what ``sampler`` proposes, as it would in a study made anew from the ledger.

        For TPE with many points that is so if one trial runs at a time; see ``told_points``.
        """
        from optuna.trial import TrialState

        begun_with = last_begin(len(self._earlier) + len(ledger.entries))
        if self._study is None or begun_with != self._begun_with:
            self._study = make_study(sampler, self._objectives)
            self._begin(self._study, begun_with, ledger, distributions)
        for point, number in list(self._running.items()):
            if (trial := known_trial(ledger, point, distributions)).state != TrialState.RUNNING:
                self._study.tell(number, trial.values, trial.state)
                del self._running[point]
        for point in islice(ledger.entries, self._added, None):
            self._add(self._study, point, ledger, distributions)
        self._added = len(ledger.entries)
        self._study.sampler = sampler
        asked = self._study.ask(distributions)
        # Another point may be run instead: what failed is what no sampler looks at.
        self._study.tell(asked, state=TrialState.FAIL)
        return asked.params

    def _begin(
        self, study: "Study", begun_with: int, ledger: Ledger, distributions: dict[str, Any]
    ) -> None:
        earlier = list(self._earlier.items())
        self._running = {}
        self._begun_with, self._added = begun_with, max(0, begun_with - len(earlier))
        points = list(islice(ledger.entries, self._added))
        points = [point for point in points if not has_failed(ledger, point)]
        means = [mean for _, mean in earlier[:begun_with]]
        first = len(means)
        means += [ledger.mean(point) for point in points]
        # A point that still runs must be there to be told of its end.
        running = [first + at for at, point in enumerate(points) if not ledger.is_settled(point)]
        told = told_of(means, running)
        study.add_trials(
            [
                earlier_trial(*earlier[index], distributions)
                for index in (
                    *(index for index in told if index < first),
                    *range(first, len(earlier)),
                )
            ]
        )
        for index in told:
            if index >= first:
                self._add(study, points[index - first], ledger, distributions)

    def _add(
        self, study: "Study", point: Point, ledger: Ledger, distributions: dict[str, Any]
    ) -> None:
        trial = known_trial(ledger, point, distributions)
        if not trial.state.is_finished():
            self._running[point] = len(study.get_trials(deepcopy=False))
        study.add_trial(trial)


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
            return _tpe()(seed=seed, n_startup_trials=startup or 3, constant_liar=True)
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=population_size(trials))
        case "random":
            return samplers.RandomSampler(seed=seed)
    raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


@cache
def _tpe() -> type["TPESampler"]:
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    class InOneSpace(TPESampler):
        """TPE over points that all have the same parameters.

        Optuna's own compares the parameters of all of them anew at the first proposal of each
        sampler, which is every proposal here and costs as much as all else of it.
        """

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            if len(study.directions) > 1:
                return super().infer_relative_search_space(study, trial)
            ended = (TrialState.COMPLETE, TrialState.PRUNED)
            for some in study.get_trials(deepcopy=False, states=ended)[:1]:
                found = sorted(some.distributions.items())
                return {name: values for name, values in found if not values.single()}
            return {}

    return InOneSpace


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


def earlier_trial(
    point: Point, objectives: Objectives, distributions: dict[str, Any]
) -> "FrozenTrial":
    """Return Optuna's view of a point that an earlier sweep measured."""
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

    A diverged point is told as pruned, so that samplers learn to stay away from it. What failed
    says nothing about its point.
    """
    from optuna.trial import TrialState, create_trial

    mean = ledger.mean(point)
    if mean is not None:
        state = TrialState.COMPLETE
    else:
        ended = TrialState.FAIL if has_failed(ledger, point) else TrialState.PRUNED
        state = ended if ledger.is_settled(point) else TrialState.RUNNING
    return create_trial(
        params=dict(zip(distributions, point, strict=True)),
        distributions=distributions,
        values=list(mean) if mean is not None else None,
        state=state,
        system_attrs=attributes,
    )


def has_failed(ledger: Ledger, point: Point) -> bool:
    """Whether the point ended with a seed that failed, which says nothing about the point."""
    return ledger.is_settled(point) and "failed" in ledger.entries[point].statuses.values()


def importances(
    space: Sequence[Parameter], known: Mapping[Point, Objectives], objective: int
) -> dict[str, float]:
    """Return how much of an objective's variation each parameter explains; they add up to 1.

    Args:
        space: the searched parameters.
        known: mean objectives by point; with fewer than four there is nothing to tell.
        objective: index of the objective.

    References:
        Hutter et al., "An efficient approach for assessing hyperparameter importance", 2014: a
        functional analysis of variance over a random forest, as Optuna implements it, with trees
        of at most ``LEVELS`` levels.
    """
    if len(known) < 4 or len({objectives[objective] for objectives in known.values()}) < 2:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    distributions: dict[str, Any] = {p.name: p.distribution() for p in space}
    study = make_study(make_sampler("random", 0, 0), 1)
    study.add_trials(
        [
            create_trial(
                params=dict(zip(distributions, point, strict=True)),
                distributions=distributions,
                values=[objectives[objective]],
            )
            for point, objectives in known.items()
        ]
    )
    evaluator = FanovaImportanceEvaluator(seed=0, max_depth=LEVELS)
    return dict(get_param_importances(study, evaluator=evaluator))
