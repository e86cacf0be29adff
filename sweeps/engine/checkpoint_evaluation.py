"""Evaluate models that are trained already, and record it as a sweep records its trials."""

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from rich.console import Console
from torch import nn

from gon_core import architectures, evaluation, paper
from gon_core.config import (
    DataConfig,
    EvaluationConfig,
    Given,
    Measure,
    TrainingConfig,
    TrialConfig,
)
from gon_core.corruptions.mnist_c import CORRUPTIONS
from gon_core.data import idx, imagenet_c_folder, mnist_c_folder
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.data.splits import Splits, split
from gon_core.evaluation import EvaluationSet
from gon_core.models import weights
from gon_core.models.weights import WeightsError
from gon_core.rows import CLEAN
from search_spaces.parameter import Choice
from sweeps.engine import measures, plan, provenance
from sweeps.engine.checkpoint_options import CheckpointOptions
from sweeps.engine.command_line import refuse
from sweeps.engine.exit_codes import DONE, INTERRUPTED
from sweeps.engine.measures import Measured, TrialData
from sweeps.engine.records import MANIFEST, MODEL, SweepRecords, TrialResult
from sweeps.engine.report import headline, print_report, write_report
from sweeps.engine.storage import Folder
from sweeps.engine.sweep import describe_parameter, refuse_another_question
from sweeps.engine.tracking import Tracker, default_uri, ui_command
from sweeps.engine.trial import describe, make_deterministic

QUESTION = "evaluate_checkpoint"


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint that was read and fits its architecture."""

    given: Given
    model: nn.Module
    source: Path


@dataclass(frozen=True)
class Images:
    """What the models are evaluated on: MNIST, or an ImageNet-C folder."""

    config: EvaluationConfig
    data: DataConfig
    digest: str
    mnist: TrialData | None = None
    splits: Splits | None = None
    imagenet_c: ImageNetC | None = None


def evaluate_checkpoints(options: CheckpointOptions) -> int:
    """Evaluate every checkpoint that is not recorded yet; print and write the report.

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
    images = load_images(options)
    configs = [
        TrialConfig(
            method=loaded.given, data=images.data, training=TrainingConfig(), start=None,
            evaluation=images.config,
        )
        for loaded in models
    ]  # fmt: skip
    description = describe_evaluation(options, configs, images)
    records = SweepRecords(Folder(options.storage) / description["name"])
    refuse_another_question(records, description)
    if records.read_sweep() is None:
        records.write_sweep(description)
    if images.splits is not None:
        measures.write_examples(records.folder, images.splits, images.config)
    uri = options.tracking_uri or default_uri(options.storage)
    tracker = Tracker(uri, description, records)
    interrupted = False
    try:
        for loaded, config in zip(models, configs, strict=True):
            _evaluate(loaded, config, images, records, tracker, console)
    except KeyboardInterrupt:
        interrupted = True
    report = write_report(records)
    if not interrupted:
        print_report(report, console)
    missing = tracker.close(headline(report.summary), failed=False, interrupted=interrupted)
    lines = [f"Report: {records.folder.path}/report/report.html", *([missing] if missing else [])]
    if interrupted:
        lines.append(f"Interrupted. Carry on with:\n  {provenance.repeat_command()}")
    lines.append(f"Compare runs in the MLflow UI:\n  {description['tracking']}")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return INTERRUPTED if interrupted else DONE


def load_models(options: CheckpointOptions) -> tuple[list[LoadedModel], list[str]]:
    """Return the checkpoints, and what is wrong with the others, a line each."""
    models, problems = [], []
    for index, path in enumerate(options.checkpoints):
        try:
            file = find_weights(path)
            state = weights.read_state(file)
            architecture = options.architecture or weights.guess_architecture(state) or "madry_cnn"
            refuse_another_kind(architecture, options, file)
            model = weights.build(state, architecture, str(file))
        except WeightsError as error:
            problems.append(f"--checkpoints: {error}")
            continue
        name = options.names[index] if options.names else name_of(path)
        sha256 = weights.digest(state)
        given = Given.model_validate({"name": name, "architecture": architecture, "sha256": sha256})
        models.append(LoadedModel(given, model, path))
    names = [loaded.given.name for loaded in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"--names: two checkpoints would be called {', '.join(twice)}: name them")
    return models, problems


def refuse_another_kind(architecture: str, options: CheckpointOptions, file: Path) -> None:
    """Raise WeightsError unless the architecture is for the images that are evaluated on.

    Grey images would go through an ImageNet model, and its answers would mean nothing.
    """
    if (architectures.describe(architecture).kind == "imagenet") != options.on_imagenet:
        raise WeightsError(f"{file}: a {architecture} is for ImageNet: give --imagenet-c FOLDER")


def find_weights(path: Path) -> Path:
    """Return the weights' file of a checkpoint; a training checkpoint's must match its manifest.

    Raises:
        WeightsError: a folder without one, or one that is damaged.
    """
    if not path.is_dir():
        return path
    file, manifest = path / MODEL, path / MANIFEST
    if not file.exists():
        raise WeightsError(f"{path}: a folder without {MODEL}: not a trial that has ended")
    if manifest.exists():
        try:
            expected = json.loads(manifest.read_text())["sha256"][MODEL]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise WeightsError(f"{manifest}: damaged ({error!r})") from error
        if hashlib.sha256(weights.read_bytes(file)).hexdigest() != expected:
            raise WeightsError(f"{file}: damaged, its SHA-256 is not the manifest's")
    return file


def name_of(path: Path) -> str:
    """Return what to call a checkpoint: a trial by its method and id, a file by its name."""
    if not path.is_dir():
        return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:100] or "checkpoint"
    for folder, suffix in ((path, ""), (path.parent.parent, f"-{path.name}")):
        try:
            config = TrialConfig.model_validate_json((folder / "trial.json").read_bytes())
        except (OSError, ValueError):
            continue
        return f"{config.method.variant}-{config.trial_id[:6]}{suffix}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name)[:100] or "checkpoint"


def image_problems(options: CheckpointOptions) -> list[str]:
    """Return what is wrong with a folder of corrupted images, a line each; few of them are read."""
    try:
        if options.imagenet_c is not None:
            _open_imagenet_c(options, options.imagenet_c)
        elif options.mnist_c is not None:
            mnist_c_folder.check(options.mnist_c)
    except DataFileError as error:
        name = "imagenet-c" if options.on_imagenet else "mnist-c"
        return [f"--{name}: {problem}" for problem in str(error).split("; ")]
    return []


def load_images(options: CheckpointOptions) -> Images:
    """Return what to evaluate on, in whose folder there is nothing wrong."""
    if options.imagenet_c is not None:
        return _load_imagenet_c(options, options.imagenet_c)
    return _load_mnist(options)


def _open_imagenet_c(options: CheckpointOptions, folder: Path) -> ImageNetC:
    assert options.architecture is not None, "ImageNet-C is asked for with an architecture"
    return imagenet_c_folder.open_folder(
        folder, classes=architectures.describe(options.architecture).classes
    )


def _load_imagenet_c(options: CheckpointOptions, folder: Path) -> Images:
    found = _open_imagenet_c(options, folder)
    listed = f"{found.classes} {found.images}"
    digest = hashlib.sha256(listed.encode()).hexdigest()
    config = EvaluationConfig(corruption_set=digest)
    return Images(config, DataConfig(dataset="imagenet_c"), digest, imagenet_c=found)


def _load_mnist(options: CheckpointOptions) -> Images:
    published = evaluation.read_mnist_c(options.mnist_c) if options.mnist_c else None
    data = DataConfig(validation_images=options.validation_images, test_images=options.test_images)
    asked = options.evaluate or ()
    config = EvaluationConfig(
        measures=tuple(measure for measure in get_args(Measure) if measure in asked),
        images=options.evaluation_images,
        corruption_set=_digest(published) if published else None,
    )
    splits = split(*idx.load("mnist"), data)
    prepared = measures.prepare_data(splits, config)
    if published is not None:
        test = EvaluationSet(
            "test",
            {name: images[: options.test_images] for name, images in published.images.items()},
            published.labels[: options.test_images],
        )
        prepared = TrialData(prepared.training, prepared.validation, test, prepared.severities)
    return Images(config, data, plan.data_digest("mnist", None), prepared, splits)


def _digest(images: EvaluationSet) -> str:
    sha = hashlib.sha256(images.labels.numpy().tobytes())
    for name in (CLEAN, *CORRUPTIONS):
        sha.update(images.images[name].numpy().tobytes())
    return sha.hexdigest()


def describe_evaluation(
    options: CheckpointOptions, configs: Sequence[TrialConfig], images: Images
) -> dict[str, Any]:
    """Return the content of ``sweep.json``."""
    names = tuple(config.method.variant for config in configs)
    parameter = Choice("variant", names, "checkpoint", names[0])
    identity = hashlib.sha256(" ".join(config.trial_id for config in configs).encode())
    uri = options.tracking_uri or default_uri(options.storage)
    table = paper.load("mnist_c_top1").to_pylist()
    rows = [
        {"point": [row["model"]], "table": "mnist_c_top1", "model": row["model"]}
        for row in table
        if row["model"] in names
    ]
    return {
        "name": options.name or f"{QUESTION}-{identity.hexdigest()[:6]}",
        "question": QUESTION,
        "title": "How robust are these checkpoints?",
        "created": provenance.now(),
        "scale": "checkpoint",
        "asked": {"trials": [config.model_dump(mode="json") for config in configs]},
        "cuts": plan.evaluation_cuts(images.config, images.data.test_images),
        "search": "grid",
        "parameters": [describe_parameter(parameter)],
        "objectives": ["corrupted"],
        "published": {"rows": rows, "table_7": "mnist_adversarial"} if rows else None,
        "seeds": [0],
        "grid": [[name] for name in names],
        "code": provenance.code_version(),
        "packages": provenance.package_versions(),
        "data_digest": images.digest,
        "command": provenance.repeat_command(),
        "tracking_uri": provenance.redact(uri),
        "tracking": ui_command(uri),
    }


def _evaluate(
    loaded: LoadedModel, config: TrialConfig, images: Images, records: SweepRecords,
    tracker: Tracker, console: Console,
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
        found = Measured(rows=list(_imagenet_rows(loaded.model, images.imagenet_c, console)))
    else:
        assert images.mnist is not None, "MNIST models are evaluated on MNIST"
        found = measures.measure(loaded.model, images.mnist, images.config)
    seconds = time.perf_counter() - started
    rows = [row for row in found.rows if row.split == "validation"]
    result = TrialResult(
        trial_id=config.trial_id,
        config=config,
        status="evaluated",
        rows=found.rows,
        attacks=found.attacks,
        perturbation_sizes=found.perturbation_sizes,
        objective=evaluation.mean_top1(rows, "validation") if rows else None,
        seconds={"evaluation": seconds},
        ended=provenance.now(),
        device=describe("cpu"),
    )
    trial.write_final(found.files)
    trial.write_result(result)
    tracker.ended(result)
    console.print(f"{loaded.given.name}: done in {seconds:.0f} s", highlight=False, markup=False)


def _imagenet_rows(model: nn.Module, images: ImageNetC, console: Console):
    rows = []
    with torch.inference_mode():
        for row in evaluation.evaluate_imagenet_c(model, images):
            rows.append(row)
            console.print(
                f"  {row.corruption} {row.severity}: {row.top1:.1f} %", highlight=False, style="dim"
            )
    errors = evaluation.errors_over_severities(rows, "test")
    accuracy = {name: 100 - error for name, error in errors.items()}
    console.print(
        f"mCE {evaluation.mean_corruption_error(errors):.1f} %, without noise "
        f"{evaluation.mean_without_noise(accuracy):.1f} % top-1", highlight=False,
    )  # fmt: skip
    return rows
