"""What a sweep will run and what it costs, decided before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from gon_core import architectures, benchmarks
from gon_core.config import (
    DataConfig,
    EvaluationConfig,
    Frozen,
    OwnFunction,
    StartConfig,
    Trained,
    TrainingConfig,
    TrialConfig,
    content_hash,
)
from gon_core.data import files
from search_spaces.backbones import MODEL
from search_spaces.parameter import Point, Real
from search_spaces.training_recipe import INITIAL_WEIGHTS, RANDOM
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.baselines import with_baselines
from sweeps.engine.planning.deviations import evaluation_deviations, training_deviations
from sweeps.engine.planning.given_weights import given
from sweeps.engine.planning.recipe import (
    batch_norm_problem,
    folder_problems,
    make_evaluation,
    networks,
    recipe,
    recipes,
    sampled,
    tested,
)
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.records import SweepRecords, TrialRecords, TrialResult
from sweeps.engine.resources import resources
from sweeps.engine.resources.resources import Resources
from sweeps.engine.search.ledger import Ledger, Objectives
from sweeps.engine.search.search import GridSearch, JointSearch, LineSearch, Search
from sweeps.engine.search.study import LINE_SAMPLERS
from sweeps.engine.system.provenance import redact

GROWING = ("grid", "seeds", "proposals", "baselines", "recipes")
"""Fields of a sweep's config that may grow later: no part of its name."""


class SweepConfig(Frozen):
    """Everything that decides what a sweep finds.

    Where and how fast it runs is not in here, so a sweep can be resumed with other resources.
    """

    experiment: str
    scale: str
    data: DataConfig
    start: StartConfig
    starts: dict[str, StartConfig] = Field({}, exclude_if=lambda found: not found)
    """By model, where models are searched, what its trials start from."""
    training: TrainingConfig
    from_scratch: TrainingConfig | None = Field(None, exclude_if=lambda found: found is None)
    """Training of the trials that start from random weights, where that is searched."""
    epochs: dict[str, int] = Field({}, exclude_if=lambda found: not found)
    """By variant of a method its limit of epochs, where that is lower than ``training``'s."""
    recipes: dict[str, TrainingConfig] = Field({}, exclude_if=lambda found: not found)
    """By variant of a method that has its own, the training of its trials."""
    evaluation: EvaluationConfig = EvaluationConfig()
    fixed: dict[str, Any]
    grid: tuple[tuple[float | int | str, ...], ...]
    seeds: tuple[int, ...]
    proposals: int
    sampler: str
    scheduler: str
    objectives: tuple[str, ...]
    warm_start: tuple[str, ...]
    baselines: dict[str, dict[str, Any]] = Field({}, exclude_if=lambda found: not found)
    """By name, the fields of each."""

    @property
    def number_of_trials(self) -> int:
        """All trials, with those whose point Optuna is yet to propose."""
        return (len(self.grid) + len(self.baselines) + self.proposals) * len(self.seeds)


@dataclass(frozen=True)
class Plan:
    """A whole sweep before it starts."""

    name: str
    spec: SweepSpec
    config: SweepConfig
    resources: Resources
    checkpoint_every: int  # epochs
    max_failures: int  # of a trial's process, after each of which the trial is resumed
    max_node_losses: int  # of a trial, with notice or without: no failures of its own

    @property
    def known_trials(self) -> list[TrialConfig]:
        """The trials that are known in advance: the grid, and the baselines."""
        points = (*self.config.grid, *self.spec.baseline_points)
        return [self.trial(point, seed) for point in points for seed in self.config.seeds]

    @property
    def number_of_trials(self) -> int:
        """All trials, with those whose point Optuna is yet to propose."""
        return self.config.number_of_trials

    @property
    def starts(self) -> list[StartConfig]:
        """The models that trials start from."""
        return list(self.config.starts.values()) or [self.config.start]

    @property
    def typical_trials(self) -> list[tuple[Trained | OwnFunction, TrainingConfig, str]]:
        """Method, training and model of each point that is known, or one of the paper's values."""
        config, spec, seed = self.config, self.spec, self.config.seeds[0]
        if not config.grid:
            methods = [*([spec.method] if spec.method else []), *spec.baselines.values()]
            return [(method, config.training, config.start.model) for method in methods]
        points = (*config.grid, *spec.baseline_points)
        trials = [self.trial(point, seed) for point in points]
        return [
            (spec.method_at(point), trial.training, str(trial.model))
            for point, trial in zip(points, trials, strict=True)
        ]

    def trial(self, point: Point, seed: int) -> TrialConfig:
        """Return the configuration of the trial of a point."""
        config, method = self.config, self.spec.method_at(point)
        values = self.spec.values(point)
        start = config.starts.get(str(values.get(MODEL)), config.start)
        is_random = values.get(INITIAL_WEIGHTS.name) == RANDOM
        training = config.recipes.get(method.variant, config.training)
        training = (config.from_scratch if is_random else None) or training
        changes = {name: values[name] for name in values if name in TrainingConfig.model_fields}
        if not is_random and (epochs := config.epochs.get(method.variant)) is not None:
            changes["max_epochs"] = epochs
        unused = {} if method.uses_stylized else {"stylized": None}
        return TrialConfig(
            method=method, data=config.data.model_copy(update=unused), model=start.model,
            training=training.model_copy(update=changes), start=None if is_random else start,
            evaluation=config.evaluation, seed=seed,
        )  # fmt: skip

    def search(self, known: Mapping[Point, Objectives]) -> Search:
        """Return the search before its first trial; a joint one learns from ``known``."""
        config, spec = self.config, self.spec
        ledger = Ledger(config.grid, config.seeds, self.trial, spec.baseline_points)
        seed = config.seeds[0]
        if spec.search == "joint":
            return JointSearch(
                ledger, spec.space, config.proposals, len(config.objectives), config.sampler,
                seed, known, spec.nearest_legal,
            )  # fmt: skip
        if spec.search == "grid":
            return GridSearch(ledger)
        (parameter,) = spec.space
        assert isinstance(parameter, Real), "a line search is along real numbers"
        return LineSearch(ledger, parameter, config.proposals, config.sampler, seed)

    def objectives(self, result: TrialResult) -> Objectives | None:
        """Return what the search maximises, in percent; None unless it was measured."""
        return result.objectives(self.config.objectives)

    @property
    def deviations(self) -> list[str]:
        """What is smaller than in the paper, in words; empty if nothing is."""
        config = self.config
        return [
            *training_deviations(config.data, config.training, config.start, self.spec),
            *evaluation_deviations(config.evaluation, config.data),
            *self.spec.deviations,
        ]


@cache
def data_digest(dataset: str, data_dir: Path | None) -> str:
    """Return the SHA-256 over the files of a data set, looked at once; see ``Benchmark.check``."""
    return benchmarks.get(dataset).check(data_dir)


def problems(options: SweepOptions) -> dict[str, str]:
    """Return what the options ask of this machine or data set and it has not, by option name."""
    problems, benchmark = resources.problems(options), options.benchmark
    option = "model" if options.model else "models"
    for name in filter(architectures.is_from_outside, options.networks):
        rule = architectures.problem(name, benchmark.classes, benchmark.image_shape)
        problems |= {option: rule} if rule else {}
    if not problems.get(option):
        try:
            given(options)
            if rule := batch_norm_problem(options):
                problems.setdefault("batch_norm", rule)
        except ValueError as error:
            problems["weights" if options.weights else "weights_of"] = str(error)
    embedded = benchmark.is_embedded
    if embedded or (options.data_dir and not options.download):
        try:
            data_digest(options.dataset, options.data_dir)
        except files.DataFileError as error:
            hint = "" if benchmark.download is None else "; --download fetches it"
            problems["dataset" if embedded else "data_dir"] = f"{error}{hint}"
    return problems | folder_problems(options)


def line_problems(options: SweepOptions) -> dict[str, str]:
    """Return ``problems`` of a sweep along one parameter."""
    if options.sampler not in LINE_SAMPLERS:
        rule = f"must be one of {', '.join(LINE_SAMPLERS)}: a few points make no generations"
        return problems(options) | {"sampler": f"{rule}, given: {options.sampler}"}
    return problems(options)


def grid_problems(options: SweepOptions) -> dict[str, str]:
    """Return ``problems`` of a sweep that runs a fixed grid."""
    found, rule = problems(options), "this sweep runs its whole grid, there is nothing to propose"
    if options.num_trials:
        found["num_trials"] = f"must be 0: {rule}, given: {options.num_trials}"
    if options.sampler != type(options).model_fields["sampler"].default:
        found["sampler"] = f"is without effect: {rule}, given: {options.sampler}"
    return found


def make_plan(spec: SweepSpec, options: SweepOptions) -> Plan:
    """Return the plan of a sweep from options in which ``problems`` finds none."""
    name = methods.scale_name(options)
    scale = methods.scale_of(options)
    spec = with_baselines(spec, options, name)
    own = given(options)
    heads = tuple(each.head for each in own.values() if each.head)
    spec = replace(spec, deviations=(*spec.deviations, *heads))
    data = DataConfig(
        dataset=options.dataset,
        folder=options.folder,
        training_images=options.training_images or scale.training_images,
        validation_images=options.validation_images or scale.validation_images,
        stylized=methods.stylized_digest(options),
        **tested(options, scale.test_images),
    )
    epochs = options.start_epochs or scale.start.max_epochs
    changes = {"precision": options.precision, "compiled": options.compile,
               "max_epochs": epochs}  # fmt: skip
    start, training = scale.start.model_copy(update=changes), recipe(options)
    evaluation = make_evaluation(options, name)
    # The start depends on the training images alone, so that it is shared as widely as possible.
    start_data = DataConfig(
        dataset=data.dataset, folder=data.folder, training_images=data.training_images
    )
    starts = {
        model: StartConfig(
            data=start_data,
            training=TrainingConfig() if own else start,
            model=model,
            weights=own[model].sha256 if own else None,
        )
        for model in networks(options)
    }
    searched = {parameter.name for parameter in spec.space}
    scratch = start.model_copy(update={"batch_size": training.batch_size})
    config = SweepConfig(
        experiment=spec.name,
        scale=name,
        data=sampled(data, evaluation),
        start=next(iter(starts.values())),
        starts=starts if MODEL in searched else {},
        training=training,
        from_scratch=scratch if INITIAL_WEIGHTS.name in searched else None,
        epochs={} if options.max_epochs else dict(scale.epochs),
        recipes=recipes(options),
        evaluation=evaluation,
        fixed=spec.fixed(),
        grid=spec.grid,
        seeds=tuple(range(options.seed, options.seed + options.seeds)),
        proposals=default_proposals(spec, options, spec.grid),
        sampler=options.sampler,
        scheduler=options.scheduler,
        objectives=spec.objectives,
        warm_start=tuple(map(redact, spec.warm_start)),
        baselines={name: method.model_dump(mode="json") for name, method in spec.baselines.items()},
    )
    return Plan(
        name=options.name or default_name(spec, config),
        spec=spec,
        config=config,
        resources=resources_for(spec, options, config),
        checkpoint_every=options.checkpoint_every or scale.checkpoint_every,
        max_failures=options.max_failures,
        max_node_losses=options.max_node_losses,
    )


def default_name(spec: SweepSpec, config: SweepConfig) -> str:
    """Return the name of a sweep, made of what cannot be added to it later."""
    nothing: dict[str, Any] = {name: type(getattr(config, name))() for name in GROWING}
    if spec.method is None:  # the methods are the points
        nothing["fixed"] = {}
    return f"{spec.name}-{config.scale}-{content_hash(config.model_copy(update=nothing))[:6]}"


def default_proposals(spec: SweepSpec, options: SweepOptions, grid: Sequence[Point]) -> int:
    """Return how many points the search adds to a grid."""
    if spec.search == "grid" or (spec.search == "line" and len(grid) < 2):
        return 0  # one value has no neighbours
    by_scale = spec.proposals[methods.scale_name(options)]
    return by_scale if options.num_trials is None else options.num_trials


def resources_for(spec: SweepSpec, options: SweepOptions, config: SweepConfig) -> Resources:
    """Return what each trial occupies, and how many run at a time."""
    most = resources.JOINT_AT_ONCE if spec.search == "joint" else resources.MOST_AT_ONCE
    return resources.make_resources(options, min(most, config.number_of_trials))


def rebuild_search(
    plan: Plan, records: SweepRecords, known: Mapping[Point, Objectives]
) -> tuple[Search, int]:
    """Return the search as it stands after what is recorded, and how many trials need not run.

    Each record is read once, and none is kept; what failed is to run again. ``known`` is what
    earlier sweeps found.
    """
    search, finished = plan.search(known), 0
    configs = records.trials()
    for trial_id, result in records.ask_each(TrialRecords.result, list(configs)):
        config = configs[trial_id]
        point = plan.spec.point(config)
        search.ledger.propose(point)
        if result is not None and result.is_final:
            objectives = plan.objectives(result)
            search.ledger.record(point, config.seed, result.status, objectives)
            finished += 1
    return search, finished
