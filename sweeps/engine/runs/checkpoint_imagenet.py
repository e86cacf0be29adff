"""ImageNet, as checkpoints are evaluated on it: validation images, and their corruptions.

The corruptions are made here, or published ones are read from a folder.
"""

import hashlib
import statistics
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from gon_core import architectures, evaluation
from gon_core.config import DataConfig, EvaluationConfig
from gon_core.data import image_list, imagenet_c_folder
from gon_core.data.files import DataFileError
from gon_core.data.folder_images import FolderImages
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.data.splits import Splits, sample
from gon_core.evaluation import EvaluationSet
from gon_core.evaluation.corrupted_sets import CLEAN_KEY
from gon_core.evaluation.corruption_error import (
    errors_over_severities,
    mean_corruption_error,
    mean_without_noise,
)
from gon_core.evaluation.measure import total_passes
from gon_core.measurement import CLEAN, TOP1, Measurement, select
from sweeps.engine.runs.checkpoint_options import IMAGENET_C, CheckpointOptions
from sweeps.engine.runs.evaluated_images import Images
from sweeps.engine.trials.measures import TrialData

GENERATOR = "generator_"  # how the fields of noise generators begin


def problems(options: CheckpointOptions) -> list[str]:
    """Return what is wrong with the folders and the list, a line each; no image is decoded."""
    found: list[str] = []
    for option, look in (
        ("image-list", _listed), ("imagenet-c", _whole_published), ("imagenet", _whole_validation),
    ):  # fmt: skip
        try:
            look(options)
        except DataFileError as error:
            found += [f"--{option}: {problem}" for problem in str(error).split("; ")]
    if found:
        return found
    try:
        _published(options)
        if options.imagenet is not None:
            _chosen(options, _validation(options))
    except DataFileError as error:
        option = "image-list" if options.image_list is not None else "imagenet"
        return [f"--{option}: {problem}" for problem in str(error).split("; ")]
    rule = _nothing_to_train_on(options)
    return [f"--evaluate: {rule}"] if rule else []


def load(options: CheckpointOptions, generator_limits: dict[str, int]) -> Images:
    """Return what to evaluate on, in whose folders nothing is wrong.

    Args:
        options: legal ones.
        generator_limits: fields of ``EvaluationConfig`` that limit noise generators.

    Raises:
        DataFileError: images cannot be copied to this machine.
    """
    published, listed = _published(options), _listed(options)
    config = EvaluationConfig(corruption_set=published.digest if published else None)
    subset: dict[str, Any] = {}
    if listed:
        subset = {"test_images": len(listed), "image_list": image_list.digest(listed)}
    elif options.test_images is not None and options.test_images < _count(options):
        subset = {"test_images": options.test_images}
    if options.folder is not None:
        config = config.model_copy(update=_measures(options, generator_limits))
    if ("test_images" in subset and not listed) or _takes_some(options, config):
        subset["sample"] = "balanced"
    data = DataConfig(dataset=IMAGENET_C, folder=options.folder, **subset)
    if data.folder is None:
        assert published is not None, "there are images"
        return Images(config, data, published.digest, published=published)
    prepared, notes = _prepare(options, config)
    digest = data.folder.digest
    if published is not None:
        digest = hashlib.sha256(f"{digest} {published.digest}".encode()).hexdigest()
        return Images(config, data, digest, prepared, None, published, notes)
    test = prepared.test.clean
    everything = torch.arange(len(test))
    splits = Splits(prepared.training, test.first(0), test, everything, data.benchmark)
    return Images(config, data, digest, prepared, splits, notes=notes)


def _measures(options: CheckpointOptions, generator_limits: dict[str, int]) -> dict[str, Any]:
    """Return fields of ``EvaluationConfig``; none about measures that are not made."""
    benchmark = options.benchmark
    names = benchmark.measures
    if "evaluate" in options.model_fields_set:
        names = tuple(name for name in options.evaluate or () if name in names)
    found: dict[str, Any] = {"measures": names}
    if options.imagenet_c is None:
        found["left_out"] = benchmark.suites["test"].lacking()
    if not names:
        return found
    found |= dict(benchmark.evaluation)
    if options.evaluation_images is not None:
        found["images"] = options.evaluation_images
    if total_passes(EvaluationConfig(**found), 1, benchmark).generator > 0:
        return found | generator_limits
    return {name: value for name, value in found.items() if not name.startswith(GENERATOR)}


def _prepare(
    options: CheckpointOptions, config: EvaluationConfig
) -> tuple[TrialData, tuple[str, ...]]:
    """Return the images that are measured and those that are not, and what to say of them."""
    benchmark = options.benchmark.without(config.left_out)
    images = _validation(options).decoded_by(options.decoders)
    chosen = _chosen(options, images)
    if _takes_some(options, config):
        chosen = chosen[_sampled(images.labels.cpu()[chosen], len(chosen))]
    is_free = torch.ones(len(images), dtype=torch.bool)
    is_free[chosen[: config.images]] = False
    measured, free = (images[index] for index in (chosen, is_free.nonzero()[:, 0]))
    small, notes = measured.enlarged(), ()
    if small:
        rule = f"a side below {images.side} pixels and are enlarged, as torchvision does"
        notes = (f"{small:,} of {len(measured):,} images have {rule}.",)
    clean = measured.to(options.device)
    test = EvaluationSet("test", {CLEAN_KEY: clean})
    if options.imagenet_c is None:
        test = evaluation.build(clean, "test", benchmark.suites["test"], config.corruption_seed)
    none = EvaluationSet("validation", {})
    return TrialData(free.to(options.device), none, test, benchmark), notes


def _whole_validation(options: CheckpointOptions) -> None:
    """Raise DataFileError if ``--imagenet`` is not ImageNet's validation images."""
    describe = options.benchmark.describe
    if options.imagenet is not None and describe is not None:
        describe(options.imagenet, options.image_size)


def _validation(options: CheckpointOptions) -> FolderImages:
    _, images = options.benchmark.read(options.imagenet)
    assert isinstance(images, FolderImages), "they are decoded when they are wanted"
    return images


@cache
def _open_published(folder: Path, architecture: str) -> ImageNetC:
    classes = architectures.describe(architecture).classes
    return imagenet_c_folder.open_folder(folder, classes=classes)


def _whole_published(options: CheckpointOptions) -> ImageNetC | None:
    if options.imagenet_c is None:
        return None
    assert options.architecture is not None, "ImageNet-C is read for an architecture"
    return _open_published(options.imagenet_c, options.architecture)


def _published(options: CheckpointOptions) -> ImageNetC | None:
    """Return those published images that are evaluated; see ``_chosen``."""
    found = _whole_published(options)
    if found is None:
        return None
    if (listed := _listed(options)) is not None:
        return found.only(image_list.find(listed, found.paths, str(options.image_list)))
    if options.test_images is not None:
        return found.only(_sampled(found.labels, options.test_images).tolist())
    return found


def _chosen(options: CheckpointOptions, images: FolderImages) -> Int64[Tensor, " image"]:
    """Return the numbers of the validation images that are evaluated.

    They are all, those of the list, or a fixed sample; where published images are evaluated beside
    them the same as of these.
    """
    published, listed = _published(options), _listed(options)
    if listed is None and options.test_images is not None and published is None:
        return _sampled(images.labels.cpu(), options.test_images)
    wanted, source = listed, str(options.image_list)
    if wanted is None and options.test_images is not None and published is not None:
        wanted, source = published.paths, f"{options.imagenet}"
    if wanted is None:
        return torch.arange(len(images))
    names = image_list.below(images.source.paths)
    return torch.tensor(image_list.find(wanted, names, source))


def _takes_some(options: CheckpointOptions, config: EvaluationConfig) -> bool:
    """Whether attacks and epsilon* take the first of images that are in the order of classes.

    These are then brought into an order whose beginning has all classes alike, as that of
    ``--test-images`` is.
    """
    evaluated = len(_listed(options) or ()) or _count(options)
    return options.test_images is None and (config.images or evaluated) < evaluated


def _listed(options: CheckpointOptions) -> tuple[str, ...] | None:
    return None if options.image_list is None else image_list.read(options.image_list)


def _sampled(labels: Int64[Tensor, " image"], count: int) -> Int64[Tensor, " row"]:
    """Return a fixed sample with as many images of each class."""
    return sample(labels, count, DataConfig(dataset=IMAGENET_C, sample="balanced"), "test")


def _count(options: CheckpointOptions) -> int:
    """Return how many images there are."""
    published = _whole_published(options)
    return len(published) if published is not None else options.benchmark.test_images


def _nothing_to_train_on(options: CheckpointOptions) -> str:
    """Return why epsilon* has no images to train its noise generators on; empty if it has."""
    if options.folder is None:
        return ""
    config, whole = EvaluationConfig(**_measures(options, {})), options.folder.test_images
    evaluated = len(_listed(options) or ()) or options.test_images or whole
    measured = min(config.images or evaluated, evaluated)
    if total_passes(config, 1, options.benchmark).generator == 0 or measured < whole:
        return ""
    return (
        "epsilon_star trains noise generators on validation images that are not measured: give "
        f"--evaluation-images below {whole:,}, or --evaluate attacks"
    )


def figures(rows: Sequence[Measurement]) -> str:
    """Return what the paper's tables say of a model, in words: means over corruptions."""
    found = select(rows, TOP1, "test")
    parts = [f"clean {_both([row])}" for row in found if row.setting == CLEAN]
    corrupted = [row for row in found if row.setting != CLEAN]
    errors = errors_over_severities(corrupted, "test")
    parts.append(f"{len(errors)} corruptions {_both(corrupted)}")
    if len(errors) < len(imagenet_c_folder.CORRUPTIONS):
        return f"{', '.join(parts)}; mCE is over 15"
    accuracy = {name: 100 - error for name, error in errors.items()}
    parts.append(f"without noise {mean_without_noise(accuracy):.1f} % top-1")
    return f"mCE {mean_corruption_error(errors):.1f} %, {', '.join(parts)}"


def _both(rows: Sequence[Measurement]) -> str:
    top1 = statistics.fmean(row.value for row in rows)
    top5 = statistics.fmean(row.number("top5") or 0.0 for row in rows)
    return f"{top1:.1f} % top-1, {top5:.1f} % top-5"
