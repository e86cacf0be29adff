"""Evaluate models that are trained already, and record it as a sweep records its trials."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from rich.console import Console
from torch import nn

from gon_core import evaluation
from gon_core.config import (
    TrainingConfig,
    TrialConfig,
)
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.evaluation.measure import Accuracies, Measured
from gon_core.measurement import Measurement, mean_top1
from search_spaces.parameter import Choice
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.planning import plan
from sweeps.engine.planning.trial_cost import evaluation_seconds, measure_speed
from sweeps.engine.records import SweepDescription, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.resources import Resources
from sweeps.engine.runs.checkpoint_images import Images, image_problems, load_images
from sweeps.engine.runs.checkpoint_models import LoadedModel, load_models
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.runs.session import Session, made_by, refuse_another_sweep
from sweeps.engine.system import provenance
from sweeps.engine.system.leaving import refuse
from sweeps.engine.system.text import duration
from sweeps.engine.tracking import Tracker
from sweeps.engine.trials import measures
from sweeps.engine.trials.evaluation_steps import Steps
from sweeps.engine.trials.trial import describe, make_deterministic

EXPERIMENT = "evaluate_checkpoint"


def evaluate_checkpoints(options: CheckpointOptions, generator_steps: int | None = None) -> int:
    """Evaluate every checkpoint that is not recorded yet; print and write the report.

    Args:
        options: legal ones.
        generator_steps: limit of the steps of each noise generator of epsilon*; None for that of
            the paper's scale.

    Raises:
        SystemExit: 2 with every checkpoint and folder that cannot be read, before anything starts.
    """
    console = Console()
    make_deterministic("cpu", options.cpus)
    models, problems = load_models(options)
    problems += image_problems(options)
    if problems:
        refuse(problems)
    console.print("Making the corrupted images, or reading them.")
    images = load_images(options, generator_steps)
    configs = [
        TrialConfig(
            method=loaded.given, data=images.data, training=TrainingConfig(), start=None,
            evaluation=images.config,
        )
        for loaded in models
    ]  # fmt: skip
    description = describe_evaluation(options, models, configs, images)
    records = SweepRecords(Folder(options.storage) / description.name)
    refuse_another_sweep(records, description)
    session = Session(records, description, options, console)

    def evaluate_all(tracker: Tracker) -> None:
        with accuracies_of(options) as of_model:
            for loaded, config in zip(models, configs, strict=True):
                accuracies = of_model(loaded.model)
                _evaluate(loaded, config, images, records, tracker, console, accuracies)

    def run() -> int:
        if records.read_sweep() is None:
            records.write_sweep(description)
        if images.mnist is not None and images.splits is not None:
            given = images.mnist.test if options.mnist_c else None
            measures.write_examples(records.folder, images.splits, images.config, given)
        announce(models, configs, images, records, console)
        return session.run(evaluate_all)

    return session.alone(run)


@contextmanager
def accuracies_of(options: CheckpointOptions) -> Iterator[Callable[[nn.Module], Accuracies]]:
    """Yield what measures the accuracies of a model: this process, or machines of a cluster."""
    if options.address is None:
        yield lambda model: evaluation
        return
    resources = Resources(cpus=options.cpus, gpus=options.gpus_per_shard, max_concurrent=1)
    with Cluster(resources, cluster_check.resolve(options.address)) as cluster:
        cluster.wait()
        from sweeps.engine.backend.shards import Shards

        yield partial(Shards, resources)


def announce(
    models: Sequence[LoadedModel], configs: Sequence[TrialConfig], images: Images,
    records: SweepRecords, console: Console,
) -> None:  # fmt: skip
    """Print how long it takes, by the speed of each model that is to be measured, and the cuts."""
    waiting = [
        loaded
        for loaded, config in zip(models, configs, strict=True)
        if records.trial(config.trial_id).result() is None
    ]
    if images.mnist is not None and waiting:
        here = Resources(cpus=torch.get_num_threads(), gpus=0, max_concurrent=1)
        speeds = [
            measure_speed(each.model, images.data, TrainingConfig(), here) for each in waiting
        ]
        costs = [evaluation_seconds(each, "cpu", images.data, images.config) for each in speeds]
        console.print(cost_text(costs), highlight=False, markup=False)
    if cuts := evaluation_deviations(models, images):
        console.print(
            f"Deviations from the paper: {'; '.join(cuts)}.", highlight=False, markup=False
        )


def evaluation_deviations(models: Sequence[LoadedModel], images: Images) -> list[str]:
    """Return what is smaller than in the paper: the evaluation, and models beside its rows."""
    if images.mnist is None:
        return []
    cuts = plan.evaluation_deviations(images.config, images.data)
    named: dict[str, list[str]] = {}
    for loaded in models:
        if loaded.published_row and loaded.deviations:
            named.setdefault(loaded.deviations, []).append(loaded.given.name)
    return cuts + [f"{', '.join(names)}: {text}" for text, names in named.items()]


def describe_evaluation(
    options: CheckpointOptions, models: Sequence[LoadedModel], configs: Sequence[TrialConfig],
    images: Images,
) -> SweepDescription:  # fmt: skip
    """Return what ``sweep.json`` will say."""
    names = tuple(config.method.variant for config in configs)
    identity = hashlib.sha256(" ".join(config.trial_id for config in configs).encode())
    rows = [
        {"point": [loaded.given.name], "table": "mnist_c_top1", "model": loaded.published_row}
        for loaded in models
        if loaded.published_row is not None and images.mnist is not None
    ]
    return SweepDescription(
        name=options.name or f"{EXPERIMENT}-{identity.hexdigest()[:6]}",
        experiment=EXPERIMENT,
        title="How robust are these checkpoints?",
        scale="checkpoint",
        config={"trials": [config.model_dump(mode="json") for config in configs]},
        deviations=tuple(evaluation_deviations(models, images)),
        search="grid",
        parameters=(Choice("variant", names, "checkpoint", names[0]),),
        objectives=("corrupted",),
        published={"rows": rows, "table_7": "mnist_adversarial"} if rows else None,
        seeds=(0,),
        grid=tuple((name,) for name in names),
        data_digest=images.digest,
        **made_by(options),
    )


def _evaluate(
    loaded: LoadedModel, config: TrialConfig, images: Images, records: SweepRecords,
    tracker: Tracker, console: Console, accuracies: Accuracies,
) -> None:  # fmt: skip
    trial = records.trial(config.trial_id)
    if trial.result() is not None:
        console.print(f"{loaded.given.name}: recorded already", highlight=False, markup=False)
        return
    console.print(
        f"{loaded.given.name}: {loaded.given.architecture} from {loaded.source}, evaluated now",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    trial.write_config(config)
    tracker.started(config)
    started = time.perf_counter()
    if images.imagenet_c is not None:
        found = Measured(_imagenet_rows(loaded.model, images.imagenet_c, console, accuracies))
    else:
        assert images.mnist is not None, "MNIST models are evaluated on MNIST"

        def notify(text: str) -> None:
            console.print(f"  {text}", highlight=False, markup=False)

        steps = Steps(notify=notify)
        found = measures.measure(
            loaded.model, images.mnist, images.config, accuracies=accuracies, steps=steps
        )
    seconds = time.perf_counter() - started
    has_validation = any(row.split == "validation" for row in found.measurements)
    result = TrialResult(
        trial_id=config.trial_id,
        config=config,
        status="evaluated",
        measurements=found.measurements,
        objective=mean_top1(found.measurements, "validation") if has_validation else None,
        seconds={"evaluation": seconds},
        ended=provenance.now(),
        device=describe("cpu"),
        device_type="cpu",
    )
    trial.write_result(result, found.files)
    tracker.ended(result)
    console.print(
        f"{loaded.given.name}: done in {duration(seconds)}", highlight=False, markup=False
    )


def _imagenet_rows(
    model: nn.Module, images: ImageNetC, console: Console, accuracies: Accuracies
) -> list[Measurement]:
    rows = []
    with torch.inference_mode():
        for row in accuracies.evaluate_imagenet_c(model, images):
            rows.append(row)
            console.print(
                f"  {row.setting} {row.severity}: {row.value:.1f} %", highlight=False, style="dim"
            )
    errors = evaluation.errors_over_severities(rows, "test")
    accuracy = {name: 100 - error for name, error in errors.items()}
    console.print(
        f"mCE {evaluation.mean_corruption_error(errors):.1f} %, without noise "
        f"{evaluation.mean_without_noise(accuracy):.1f} % top-1", highlight=False,
    )  # fmt: skip
    return rows


def cost_text(costs: Sequence[tuple[float, float]]) -> str:
    """Return how long all models take together, in words."""
    sure, generators = (sum(part) for part in zip(*costs, strict=True))
    count = len(costs)
    models = "1 model" if count == 1 else f"{count} models"
    text = f"{models} to measure: about {duration(sure)} by the speed measured now"
    if generators < 1:
        return f"{text}."
    return (
        f"{text}, and at most {duration(generators)} more for the noise generators of epsilon*, "
        "which end as soon as they have converged (--generator-steps limits them)."
    )
