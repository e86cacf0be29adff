"""The images that checkpoints are evaluated on: MNIST, MNIST-C's folders, or ImageNet-C's."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gon_core import architectures, evaluation
from gon_core.benchmarks.mnist import MNIST
from gon_core.config import (
    DataConfig,
    EvaluationConfig,
)
from gon_core.data import idx, imagenet_c_folder, mnist_c_folder
from gon_core.data.files import DataFileError
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.data.splits import Splits, split
from gon_core.evaluation import EvaluationSet
from gon_core.evaluation.measure import total_passes
from gon_core.measures import MEASURES
from sweeps.engine.planning import plan
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.trials import measures
from sweeps.engine.trials.measures import TrialData


@dataclass(frozen=True)
class Images:
    """What the models are evaluated on: MNIST, or an ImageNet-C folder."""

    config: EvaluationConfig
    data: DataConfig
    digest: str
    mnist: TrialData | None = None
    splits: Splits | None = None
    imagenet_c: ImageNetC | None = None


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
        asked = tuple(name for name in asked if not MEASURES[name].makes_severities)
    config = EvaluationConfig(
        measures=asked,
        images=options.evaluation_images,
        corruption_set=_digest(published) if published else None,
        **(generator_budget(generator_steps) if _trains_generators(asked) else {}),
    )
    splits = split(*idx.load("mnist"), data)
    prepared = measures.prepare_data(splits, config)
    if published is not None:
        count = options.test_images
        shown = {key: images.first(count) for key, images in published.images.items()}
        test = EvaluationSet("test", shown)
        prepared = replace(prepared, test=test, prepared={})
        data = data.model_copy(update={"test_images": len(test)})
    return Images(config, data, plan.data_digest("mnist", None), prepared, splits)


def _trains_generators(names: Sequence[str]) -> bool:
    return total_passes(EvaluationConfig(measures=tuple(names)), 1, MNIST).generator > 0


def _digest(images: EvaluationSet) -> str:
    sha = hashlib.sha256(images.clean.labels.numpy().tobytes())
    for found in images.images.values():
        sha.update(found.batch(slice(None)).numpy().tobytes())
    return sha.hexdigest()
