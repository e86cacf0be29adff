"""Evaluate models that are trained already, and record it as a sweep records its trials."""

import hashlib
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import torch
from rich.console import Console
from torch import nn

from gon_core import architectures, evaluation, paper
from gon_core.config import (
    HELD_OUT,
    TEST_SET,
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
from sweeps.engine import measures, methods, plan, provenance
from sweeps.engine.checkpoint_cost import cost_text, expected
from sweeps.engine.checkpoint_options import CheckpointOptions
from sweeps.engine.command_line import refuse
from sweeps.engine.exit_codes import BAD_INPUT, DONE, INTERRUPTED
from sweeps.engine.measures import Measured, TrialData
from sweeps.engine.progress import duration
from sweeps.engine.records import MANIFEST, MODEL, SweepRecords, TrialResult
from sweeps.engine.report import headline, print_report, write_report
from sweeps.engine.storage import Folder
from sweeps.engine.sweep import describe_parameter, refuse_another_question
from sweeps.engine.tracking import Tracker, default_uri, ui_command
from sweeps.engine.trial import describe, make_deterministic

QUESTION = "evaluate_checkpoint"


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint that was read and fits its architecture.

    Attributes:
        given: what it is.
        model: with its weights.
        source: the file or folder that it was read from.
        trial: how it was trained, where the source is the folder of a trial that has ended.
    """

    given: Given
    model: nn.Module
    source: Path
    trial: TrialConfig | None = None

    @property
    def published_row(self) -> str | None:
        """The row of the paper's Table 6 that it stands beside: by its name, else its training."""
        if self.given.name in _table_6():
            return self.given.name
        if self.trial is None or isinstance(self.trial.method, Given):
            return None
        return methods.published_row(self.trial.method) if self._is_of_mnist else None

    @property
    def _is_of_mnist(self) -> bool:
        return self.trial is not None and self.trial.data.dataset == "mnist"

    @property
    def cuts(self) -> str:
        """What of its training is smaller than in the paper, in words; empty if nothing is."""
        trial = self.trial
        if trial is None or isinstance(trial.method, Given):
            return ""
        found = plan.training_cuts(trial.data, trial.training, trial.start)
        return ", ".join([*found, *methods.changes(trial.method.variant, trial.method)])


@dataclass(frozen=True)
class Images:
    """What the models are evaluated on: MNIST, or an ImageNet-C folder."""

    config: EvaluationConfig
    data: DataConfig
    digest: str
    mnist: TrialData | None = None
    splits: Splits | None = None
    imagenet_c: ImageNetC | None = None


def evaluate_checkpoints(options: CheckpointOptions, generator_steps: int | None = None) -> int:
    """Evaluate every checkpoint that is not recorded yet; print and write the report.

    Args:
        options: legal ones.
        generator_steps: budget of each noise generator of epsilon*; None for that of the paper's
            scale.

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
    records = SweepRecords(Folder(options.storage) / description["name"])
    refuse_another_question(records, description)
    if records.read_sweep() is None:
        records.write_sweep(description)
    if images.mnist is not None and images.splits is not None:
        given = images.mnist.test if options.mnist_c else None
        measures.write_examples(records.folder, images.splits, images.config, given)
    announce(models, configs, images, records, console)
    uri = options.tracking_uri or default_uri(options.storage)
    tracker = Tracker(uri, description, records)
    interrupted = False
    try:
        for loaded, config in zip(models, configs, strict=True):
            _evaluate(loaded, config, images, records, tracker, console)
    except KeyboardInterrupt:
        interrupted = True
    except DataFileError as error:  # of ImageNet-C, whose images are read as they are needed
        tracker.close({}, failed=True, interrupted=True)
        print(f"--imagenet-c: {error}", file=sys.stderr)
        return BAD_INPUT
    except BaseException:  # no run may stay RUNNING, whatever broke
        tracker.close({}, failed=True, interrupted=True)
        raise
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
        costs = [expected(loaded.model, images.mnist, images.config) for loaded in waiting]
        console.print(cost_text(costs), highlight=False, markup=False)
    if cuts := evaluation_cuts(models, images):
        console.print(f"Cut short: {'; '.join(cuts)}.", highlight=False, markup=False)


def evaluation_cuts(models: Sequence[LoadedModel], images: Images) -> list[str]:
    """Return what is smaller than in the paper: the evaluation, and models beside its rows."""
    cuts = plan.evaluation_cuts(images.config, images.data.test_images)
    if images.mnist is None:
        return cuts
    counts = {
        "test": (images.data.test_images, TEST_SET),
        "validation": (images.data.validation_images, HELD_OUT),
    }
    cuts = [
        f"{count:,} of {whole:,} {kind} images"
        for kind, (count, whole) in counts.items()
        if count < whole
    ] + cuts
    named: dict[str, list[str]] = {}
    for loaded in models:
        if loaded.published_row and loaded.cuts:
            named.setdefault(loaded.cuts, []).append(loaded.given.name)
    return cuts + [f"{', '.join(names)}: {text}" for text, names in named.items()]


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
        models.append(LoadedModel(given, model, path, trial_of(path)))
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
        if (config := trial_of(folder)) is None:
            continue
        return f"{config.method.variant}-{config.trial_id[:6]}{suffix}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name)[:100] or "checkpoint"


def trial_of(path: Path) -> TrialConfig | None:
    """Return how a model was trained, from the folder of its trial; None for any other path.

    A checkpoint that was taken in the middle of a training stands beside nothing.
    """
    try:
        return TrialConfig.model_validate_json((path / "trial.json").read_bytes())
    except (OSError, ValueError):
        return None


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


def load_images(options: CheckpointOptions, generator_steps: int | None = None) -> Images:
    """Return what to evaluate on, in whose folder there is nothing wrong."""
    if options.imagenet_c is not None:
        return _load_imagenet_c(options, options.imagenet_c)
    return _load_mnist(options, generator_steps)


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


def generator_budget(steps: int | None) -> dict[str, int]:
    """Return the fields of ``EvaluationConfig`` for a budget of steps: whole blocks, at least one.

    What is no cut is not said, so that it makes no other trial.
    """
    whole = EvaluationConfig()
    block = whole.generator_steps
    if steps is None or steps >= block * whole.generator_blocks:
        return {}
    return {"generator_steps": min(steps, block), "generator_blocks": max(1, steps // block)}


def _load_mnist(options: CheckpointOptions, generator_steps: int | None) -> Images:
    published = evaluation.read_mnist_c(options.mnist_c) if options.mnist_c else None
    data = DataConfig(validation_images=options.validation_images, test_images=options.test_images)
    asked = options.evaluate or ()
    if published is not None:  # of the folder there is one severity; ours are of other images
        asked = tuple(measure for measure in asked if measure != "severities")
    config = EvaluationConfig(
        measures=tuple(measure for measure in get_args(Measure) if measure in asked),
        images=options.evaluation_images,
        corruption_set=_digest(published) if published else None,
        **(generator_budget(generator_steps) if "epsilon_star" in asked else {}),
    )
    splits = split(*idx.load("mnist"), data)
    prepared = measures.prepare_data(splits, config)
    if published is not None:
        test = EvaluationSet(
            "test",
            {name: images[: options.test_images] for name, images in published.images.items()},
            published.labels[: options.test_images],
        )
        prepared = TrialData(prepared.training, prepared.validation, test)
        data = data.model_copy(update={"test_images": len(test.labels)})
    return Images(config, data, plan.data_digest("mnist", None), prepared, splits)


def _digest(images: EvaluationSet) -> str:
    sha = hashlib.sha256(images.labels.numpy().tobytes())
    for name in (CLEAN, *CORRUPTIONS):
        sha.update(images.images[name].numpy().tobytes())
    return sha.hexdigest()


@cache
def _table_6() -> tuple[str, ...]:
    return tuple(row["model"] for row in paper.load("mnist_c_top1").to_pylist())


def describe_evaluation(
    options: CheckpointOptions, models: Sequence[LoadedModel], configs: Sequence[TrialConfig],
    images: Images,
) -> dict[str, Any]:  # fmt: skip
    """Return the content of ``sweep.json``."""
    names = tuple(config.method.variant for config in configs)
    parameter = Choice("variant", names, "checkpoint", names[0])
    identity = hashlib.sha256(" ".join(config.trial_id for config in configs).encode())
    uri = options.tracking_uri or default_uri(options.storage)
    rows = [
        {"point": [loaded.given.name], "table": "mnist_c_top1", "model": loaded.published_row}
        for loaded in models
        if loaded.published_row is not None and images.mnist is not None
    ]
    return {
        "name": options.name or f"{QUESTION}-{identity.hexdigest()[:6]}",
        "question": QUESTION,
        "title": "How robust are these checkpoints?",
        "created": provenance.now(),
        "scale": "checkpoint",
        "asked": {"trials": [config.model_dump(mode="json") for config in configs]},
        "cuts": evaluation_cuts(models, images),
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
        tell = lambda text: console.print(f"  {text}", highlight=False, markup=False)  # noqa: E731
        found = measures.measure(loaded.model, images.mnist, images.config, tell=tell)
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
    console.print(
        f"{loaded.given.name}: done in {duration(seconds)}", highlight=False, markup=False
    )


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
