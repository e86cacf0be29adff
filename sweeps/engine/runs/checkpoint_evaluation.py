"""Evaluate models that are trained already, and record it as a sweep records its trials."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from torch import nn

from gon_core import evaluation
from gon_core.config import TrainingConfig, TrialConfig
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import SEVERITIES, ImageNetC
from gon_core.evaluation.accuracy import batch_size
from gon_core.evaluation.measure import Accuracies, Measured
from gon_core.measurement import Finding, Measurement, mean_top1
from gon_core.training import checkpoints
from search_spaces.parameter import Choice
from sweeps.engine.backend.cluster import Cluster
from sweeps.engine.planning import deviations
from sweeps.engine.planning.trial_cost import evaluation_seconds, measure_speed
from sweeps.engine.records import OtherSweeps, SweepDescription, SweepRecords, TrialResult
from sweeps.engine.records.storage import Folder
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.resources import Resources
from sweeps.engine.runs.checkpoint_imagenet import figures
from sweeps.engine.runs.checkpoint_images import image_problems, load_images
from sweeps.engine.runs.checkpoint_models import LoadedModel, load_models
from sweeps.engine.runs.checkpoint_options import IMAGENET_C, CheckpointOptions
from sweeps.engine.runs.evaluated_images import Images
from sweeps.engine.runs.session import (
    Session,
    made_by,
    recorded_sweep,
    refuse_conflicts,
)
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
    console = Console(markup=False)
    device = options.device
    make_deterministic(device, options.cpus)
    models, problems = load_models(options)
    problems += image_problems(options)
    if problems:
        refuse(problems)
    console.print("Making the corrupted images, or reading them.")
    try:
        images = load_images(options, generator_steps)
    except DataFileError as error:  # shards that cannot be copied to this machine
        option = "imagenet" if options.on_imagenet else "data-dir"
        refuse([f"--{option}: {error}"])
    for note in images.notes:
        console.print(note, highlight=False, soft_wrap=True)
    configs = [
        TrialConfig(
            method=loaded.given, data=images.data, training=TrainingConfig(), start=None,
            evaluation=images.config,
        )
        for loaded in models
    ]  # fmt: skip
    description = describe_evaluation(options, models, configs, images)
    records = SweepRecords(Folder(options.storage) / description.name)
    recorded = recorded_sweep(records)
    if recorded is not None:
        refuse_conflicts(records, evaluation_conflicts(description, recorded))
        description = grown_evaluation(description, recorded)
    storage = Folder(options.storage)
    others = OtherSweeps.under(storage, description.name, images.digest, device)
    session = Session(records, description, options, console)

    def evaluate_all(tracker: Tracker) -> None:
        with accuracies_of(options) as of_model:
            for loaded, config in zip(models, configs, strict=True):
                trial, name = records.trial(config.trial_id), loaded.given.name
                if trial.result() is not None:
                    session.say(f"{name}: recorded already")
                    continue
                if (reused := others.take(config, trial, len(records.names()))) is not None:
                    session.say(f"{name}: reused, sweep {reused.reused_from} has measured it")
                    tracker.started(config)
                    tracker.ended(reused)
                    continue
                accuracies = of_model(loaded.model)
                loaded.model.to(device)
                _evaluate(loaded, config, images, session, tracker, accuracies)
                loaded.model.to("cpu")

    def run() -> int:
        if recorded is None or recorded.config != description.config:
            records.write_sweep(description)
        if images.prepared is not None and images.splits is not None:
            given = images.prepared.test if options.mnist_c else None
            measures.write_examples(records.folder, images.splits, images.config, given)
            here = Resources(torch.get_num_threads(), float(device == "cuda"), max_concurrent=1)
            timed = TrainingConfig(batch_size=batch_size(images.prepared.test.clean))
            costs = []
            for loaded, config in zip(models, configs, strict=True):
                is_reused = others.find(config.trial_id) is not None
                if not is_reused and records.trial(config.trial_id).result() is None:
                    training = timed if options.on_imagenet else config.training
                    speed = measure_speed(loaded.model, images.data, training, here)
                    costs.append(evaluation_seconds(speed, device, images.data, images.config))
            if costs:
                session.say(cost_text(costs))
        if description.deviations:
            recipe = images.data.benchmark.recipe
            session.say(f"Deviations from {recipe}: {'; '.join(description.deviations)}.")
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


def cost_text(costs: Sequence[tuple[float, float]]) -> str:
    """Return how long all models take together, in words; see ``evaluation_seconds``."""
    sure, generators = (sum(each, 0.0) for each in zip(*costs, strict=True))
    count = f"{len(costs)} model{'s' * (len(costs) > 1)}"
    text = f"{count} to measure: about {duration(sure)} by the speed measured now"
    if generators < 1:
        return f"{text}."
    return (
        f"{text}, and at most {duration(generators)} more for the noise generators of epsilon*, "
        "which end as soon as they have converged (--generator-steps limits them)."
    )


def evaluation_deviations(models: Sequence[LoadedModel], images: Images) -> list[str]:
    """Return what is smaller than in the paper: the evaluation, and models beside its rows."""
    named: dict[str, list[str]] = {}
    for loaded in models:
        if loaded.published_row and loaded.deviations:
            named.setdefault(loaded.deviations, []).append(loaded.given.name)
    return [
        *deviations.evaluation_deviations(images.config, images.data),
        *(f"{', '.join(names)}: {text}" for text, names in named.items()),
    ]


def describe_evaluation(
    options: CheckpointOptions, models: Sequence[LoadedModel], configs: Sequence[TrialConfig],
    images: Images,
) -> SweepDescription:  # fmt: skip
    """Return what ``sweep.json`` will say."""
    names = tuple(config.method.variant for config in configs)
    identity = hashlib.sha256(" ".join(config.trial_id for config in configs).encode())
    tables, published = images.data.benchmark.published, None
    rows = {each.given.name: each.published_row for each in models if each.published_row}
    if tables is not None and rows:
        published = {
            "rows": [
                {"point": [name], "table": tables.top1, "model": row} for name, row in rows.items()
            ],
            **({"table_7": tables.adversarial} if tables.adversarial else {}),
        }
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
        published=published,
        seeds=(0,),
        grid=tuple((name,) for name in names),
        data_digest=images.digest,
        **made_by(options),
    )


def evaluation_conflicts(now: SweepDescription, recorded: SweepDescription) -> list[str]:
    """Return what makes an evaluation another one than that recorded under its name.

    Other checkpoints do not: the evaluation grows by them.
    """
    if recorded.experiment != EXPERIMENT:
        return [f"--name: it is a sweep, of {recorded.experiment}"]
    (data, measured), *_ = _measured(now)
    for data_before, measured_before in _measured(recorded):
        if data_before != data:
            return ["--checkpoints: the recorded ones were evaluated on other images"]
        if measured_before != measured:
            return ["--evaluate: what is measured of the recorded checkpoints differs"]
    models = {method["name"]: method for method in _methods(recorded)}
    twice = [m["name"] for m in _methods(now) if models.get(m["name"], m) != m]
    return [f"--names: {', '.join(twice)}: recorded with other weights"] if twice else []


def _measured(description: SweepDescription) -> list[tuple[Any, Any]]:
    trials = description.config.get("trials", [])
    return [(trial.get("data"), trial.get("evaluation")) for trial in trials]


def _methods(description: SweepDescription) -> list[dict[str, Any]]:
    return [trial["method"] for trial in description.config.get("trials", [])]


def grown_evaluation(now: SweepDescription, recorded: SweepDescription) -> SweepDescription:
    """Return the description of the checkpoints of both, those that are recorded first."""
    trials, before = list(recorded.config["trials"]), recorded.published or {}
    trials += [trial for trial in now.config["trials"] if trial not in trials]
    names = tuple(trial["method"]["name"] for trial in trials)
    published = {**before, **(now.published or {})}
    if "rows" in published:
        rows = [*before.get("rows", []), *(now.published or {}).get("rows", [])]
        published["rows"] = [row for k, row in enumerate(rows) if row not in rows[:k]]
    return recorded.model_copy(
        update={
            "config": {"trials": trials},
            "deviations": tuple(dict.fromkeys((*recorded.deviations, *now.deviations))),
            "parameters": (Choice("variant", names, "checkpoint", names[0]),),
            "grid": tuple((name,) for name in names),
            "published": published or None,
            "command": now.command,
        }
    )


def _evaluate(
    loaded: LoadedModel, config: TrialConfig, images: Images, session: Session,
    tracker: Tracker, accuracies: Accuracies,
) -> None:  # fmt: skip
    name, trial = loaded.given.name, session.records.trial(config.trial_id)
    session.say(f"{name}: {loaded.given.architecture} from {loaded.source}, evaluated now")
    trial.write_config(config)
    tracker.started(config)
    started, device = time.perf_counter(), next(loaded.model.parameters()).device.type
    digest = hashlib.sha256(checkpoints.dump_model(loaded.model)).hexdigest()
    done, _ = trial.findings(digest)  # of an evaluation that was interrupted; damage is logged
    keep = partial(trial.write_finding, model=digest)
    steps = Steps(done, keep, notify=lambda text: session.say(f"  {text}"))
    before, found = steps.seconds, Measured()
    if images.prepared is not None:
        found = measures.measure(
            loaded.model, images.prepared, images.config, accuracies=accuracies, steps=steps
        )
    if images.published is not None:
        say = partial(session.say, style="dim")
        found.measurements += _published_rows(
            loaded.model, images.published, steps, accuracies, say
        )
    if images.data.dataset == IMAGENET_C:
        session.say(f"{name}: {figures(found.measurements)}")
    seconds = before + time.perf_counter() - started
    has_validation = any(row.split == "validation" for row in found.measurements)
    result = TrialResult(
        trial_id=config.trial_id,
        config=config,
        status="evaluated",
        measurements=found.measurements,
        spread=found.spread,
        objective=mean_top1(found.measurements, "validation") if has_validation else None,
        seconds={"evaluation": seconds},
        ended=provenance.now(),
        device=describe(device),
        device_type=device,
    )
    trial.write_result(result, found.files)
    tracker.ended(result)
    session.say(f"{name}: done in {duration(seconds)}")


def _published_rows(
    model: nn.Module, images: ImageNetC, steps: Steps, accuracies: Accuracies,
    say: Callable[[str], None],
) -> list[Measurement]:  # fmt: skip
    """Return the accuracies on published images, a step for each corruption at each severity."""
    names = {
        corruption: [f"published-{corruption}-{severity}" for severity in SEVERITIES]
        for corruption in images.corruptions
    }
    left = tuple(c for c, of in names.items() if any(name not in steps.found for name in of))
    with torch.inference_mode():
        for row in accuracies.evaluate_imagenet_c(model, replace(images, corruptions=left)):
            steps.add(f"published-{row.setting}-{row.severity}", Finding(measurements=[row]))
            say(f"  {row.setting} {row.severity}: {row.value:.1f} %")
    return [row for of in names.values() for name in of for row in steps.found[name].measurements]
