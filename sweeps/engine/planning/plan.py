"""What a sweep will run and what it costs, decided before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
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
from sweeps.engine.planning.deviations import evaluation_deviations, sweep_deviations
from sweeps.engine.planning.given_weights import given
from sweeps.engine.planning.recipe import (
    folder_problems,
    make_evaluation,
    networks,
    random_starts,
    recipe,
    recipe_problems,
    recipes,
    sampled,
    tested,
)
from sweeps.engine.planning.spec import SweepSpec
from sweeps.engine.records import TrialResult
from sweeps.engine.resources import resources
from sweeps.engine.resources.resources import Resources
from sweeps.engine.search.ledger import Ledger, Objectives
from sweeps.engine.search.search import GridSearch, JointSearch, LineSearch, Search
from sweeps.engine.search.study import LINE_SAMPLERS
from sweeps.engine.system.provenance import redact

GROWING = ("grid", "seeds", "proposals", "baselines", "recipes", "random_starts")
"""Fields of a sweep's config that may grow later: no part of its name."""


class SweepConfig(Frozen):
    """Everything that decides what a sweep finds.

    Where and how fast it runs is not in here, so a sweep can be resumed with other resources.
    """

    experiment: str
    scale: benchmarks.ScaleName
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
    random_starts: tuple[str, ...] = Field((), exclude_if=lambda found: not found)
    """Variants of methods whose trials start from random weights, whatever others start from."""
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
        """The models that trials start from; none where all start from random weights."""
        if set(self.variants) <= set(self.config.random_starts):
            return []
        return list(self.config.starts.values()) or [self.config.start]

    @property
    def models(self) -> list[str]:
        """The names of the classifiers."""
        return list(self.config.starts) or [self.config.start.model]

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The variants of the methods that are trained."""
        return tuple(dict.fromkeys(method.variant for method, _, _ in self.typical_trials))

    @property
    def typical_trials(self) -> list[tuple[Trained | OwnFunction, TrainingConfig, str]]:
        """Method, training and model of each point that is known, or one of the paper's values."""
        config, spec, seed = self.config, self.spec, self.config.seeds[0]
        if not config.grid:
            methods = [*([spec.method] if spec.method else []), *spec.baselines.values()]
            return [(each, self.training(each.variant), config.start.model) for each in methods]
        points = (*config.grid, *spec.baseline_points)
        trials = [self.trial(point, seed) for point in points]
        return [
            (spec.method_at(point), trial.training, str(trial.model))
            for point, trial in zip(points, trials, strict=True)
        ]

    def training(self, variant: str) -> TrainingConfig:
        """Return the training of the trials of a method, but for what is searched of it."""
        found = self.config.recipes.get(variant, self.config.training)
        epochs = self.config.epochs.get(variant, found.max_epochs)
        return found.model_copy(update={"max_epochs": epochs})

    def trial(self, point: Point, seed: int) -> TrialConfig:
        """Return the configuration of the trial of a point."""
        config, method = self.config, self.spec.method_at(point)
        values = self.spec.values(point)
        start = config.starts.get(str(values.get(MODEL)), config.start)
        is_random = values.get(INITIAL_WEIGHTS.name) == RANDOM
        training = (config.from_scratch if is_random else None) or self.training(method.variant)
        changes = {name: values[name] for name in values if name in TrainingConfig.model_fields}
        is_random = is_random or method.variant in config.random_starts
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
        trained = {name: config.recipes.get(name, config.training) for name in self.variants}
        random, model = config.random_starts, "" if config.starts else config.start.model
        return [
            *sweep_deviations(
                config.data, trained, config.start, random, model, config.scale, self.spec.varied
            ),
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
            problems = recipe_problems(options) | problems
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
    of_weights = (text for each in own.values() for text in each.deviations)
    spec = replace(spec, deviations=(*spec.deviations, *of_weights))
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
        random_starts=random_starts(options),
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
