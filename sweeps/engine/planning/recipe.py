"""What all trials of a sweep share, from its options: training, images and measures."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gon_core import architectures, benchmarks
from gon_core.benchmarks import ScaleName
from gon_core.config import DataConfig, EvaluationConfig, TrainingConfig
from gon_core.data.files import DataFileError
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import methods
from sweeps.engine.planning.given_weights import given
from sweeps.engine.planning.methods import stylized_digest
from sweeps.engine.resources import resources

if TYPE_CHECKING:  # slow to import
    from torch import Tensor

    from gon_core.data.splits import Images


def recipe(options: SweepOptions) -> TrainingConfig:
    """Return how trials are trained, but for what the sweep varies."""
    scale = methods.scale_of(options)
    fine_tuning = scale.fine_tuning if options.files_of_weights else None
    return (fine_tuning or scale.training).model_copy(update=_changes(options))


def recipes(options: SweepOptions) -> dict[str, TrainingConfig]:
    """Return the training of those methods of a sweep that have their own."""
    scale = methods.scale_of(options)
    own, changes = dict(scale.recipes), _changes(options)
    if options.ford_recipe is not None:
        own |= dict.fromkeys(scale.open_recipes, _given_recipe(options.ford_recipe, scale.start))
    return {name: own[name].model_copy(update=changes) for name in options.trained if name in own}


def _given_recipe(given: tuple[float, int, int], scratch: TrainingConfig) -> TrainingConfig:
    """Return a training from scratch with other numbers, whose rate falls after the same shares."""
    rate, batch, epochs = given
    decays = (max(1, epoch * epochs // scratch.max_epochs) for epoch in scratch.decay_epochs)
    changes = {"learning_rate": rate, "batch_size": batch, "max_epochs": epochs}
    return scratch.model_copy(update=changes | {"decay_epochs": tuple(dict.fromkeys(decays))})


def random_starts(options: SweepOptions) -> tuple[str, ...]:
    """Return those methods of a sweep that start from random weights, as their authors' do."""
    return tuple(n for n in options.trained if n in methods.scale_of(options).random_starts)


def recipe_problems(options: SweepOptions) -> dict[str, str]:
    """Return what is wrong with options of a training, by option name.

    Raises:
        ValueError: see ``networks``.
    """
    found = {"batch_norm": rule} if (rule := batch_norm_problem(options)) else {}
    undescribed = set(methods.scale_of(options).open_recipes) & set(options.trained)
    if undescribed and options.ford_recipe is None:
        found["ford_recipe"] = (
            "neither the paper nor any code that was found says how Ford et al. trained from "
            "scratch: learning rate, batch and epochs have no default"
        )
    elif options.ford_recipe is not None and not undescribed:
        trained = ", ".join(options.trained)
        found["ford_recipe"] = f"is of --method ford on ImageNet at --scale paper; given: {trained}"
    return found | start_problems(options)


def start_problems(options: SweepOptions) -> dict[str, str]:
    """Return which options are of a start that no method has, by option name."""
    random = random_starts(options)
    if not random or random != options.trained:
        return {}
    names = ("weights", "weights_of", "start_epochs")
    rule = f"{', '.join(random)} starts from random weights, as its authors' model did"
    return {name: rule for name in names if getattr(options, name, None)}


def _changes(options: SweepOptions) -> dict[str, Any]:
    names = ("batch_size", "decays", "max_epochs", "precision")
    given = {name: getattr(options, name) for name in names}
    given["compiled"] = options.compile
    if options.batch_norm == "local":
        given["batch_norm_parts"] = resources.make_resources(options, at_once=1).processes
    return {name: value for name, value in given.items() if value is not None}


def networks(options: SweepOptions) -> tuple[str, ...]:
    """Return the names of the classifiers that are trained.

    Raises:
        ValueError: weights were given that do not fit.
    """
    default = methods.scale_of(options).model or options.benchmark.model
    return tuple(given(options)) or options.networks or (default,)


def batch_norm_problem(options: SweepOptions) -> str:
    """Return why ``--batch-norm local`` would train nothing else; empty if it would."""
    from torch.nn.modules.batchnorm import _BatchNorm  # with torch, which is slow to import

    benchmark = options.benchmark
    for name in networks(options) if options.batch_norm == "local" else ():
        model = architectures.make(name, benchmark.classes, benchmark.image_shape)
        if not any(isinstance(layer, _BatchNorm) for layer in model.modules()):
            return f"{name} has no batch normalisation, so that local would change nothing"
    return ""


def sampled(data: DataConfig, evaluation: EvaluationConfig) -> DataConfig:
    """Return which images are taken: as many of each class wherever they are not all."""
    benchmark = data.benchmark
    is_whole = (
        data.validation_images == benchmark.held_out
        and data.test_images == benchmark.test_images
        and (evaluation.images or data.test_images) >= data.test_images
    )
    return data if is_whole else data.model_copy(update={"sample": "balanced"})


def tested(options: SweepOptions, otherwise: int) -> dict[str, Any]:
    """Return the fields of ``DataConfig`` about test images: a list of them, or how many.

    Args:
        options: of the sweep, with a list that can be read.
        otherwise: how many the scale takes.
    """
    from gon_core.data import image_list

    if options.image_list is None:
        return {"test_images": options.test_images or otherwise}
    listed = image_list.read(options.image_list)
    return {"test_images": len(listed), "image_list": image_list.digest(listed)}


def listed_among(test: "Images", options: SweepOptions) -> "Tensor | None":
    """Return the numbers of the test images that ``--image-list`` names, int64; None without.

    Raises:
        DataFileError: it cannot be read, or an image is not among those of the folder.
    """
    if options.image_list is None:
        return None
    import torch

    from gon_core.data import image_list
    from gon_core.data.folder_images import FolderImages

    assert isinstance(test, FolderImages), "other images have no paths"
    names = image_list.below(test.source.paths)
    listed = image_list.read(options.image_list)
    return torch.tensor(image_list.find(listed, names, str(options.image_list)))


def _look_at_list(options: SweepOptions, place: Path) -> None:
    """Raise DataFileError if the list cannot be read, or a folder has not its images."""
    from gon_core.data import parquet_folder  # it loads pyarrow

    if parquet_folder.is_sharded(parquet_folder.as_uri(place)):
        tested(options, 0)
    else:
        listed_among(options.benchmark.read(place)[1], options)


def folder_problems(options: SweepOptions) -> dict[str, str]:
    """Return what is wrong with folders and files beside those to train on, by option name.

    Whether shards have the images of a list is seen once they are copied.
    """
    found, place = {}, options.data_dir
    looks: dict[str, Callable[[], object]] = {}
    if options.folder is not None and place is not None:  # else there is nothing to compare with
        looks["stylized_dir"] = lambda: stylized_digest(options)
        if options.image_list is not None:
            looks["image_list"] = lambda: _look_at_list(options, place)
    if options.corrupted_dir is not None:
        folder = options.corrupted_dir
        looks["corrupted_dir"] = lambda: corrupted_digest(options.dataset, folder)
    for name, look in looks.items():
        try:
            look()
        except DataFileError as error:
            found[name] = str(error)
    return found


def make_evaluation(options: SweepOptions, scale: ScaleName) -> EvaluationConfig:
    """Return how final models are measured; nothing about measures that are not made."""
    benchmark = options.benchmark
    values: dict[str, Any] = {"left_out": benchmark.suites["test"].lacking()}
    if options.corrupted_dir is not None:
        values["corruption_set"] = corrupted_digest(options.dataset, options.corrupted_dir)
    if options.objective == "corruptions" and benchmark.has_extra:
        values["objective"] = options.objective
    default = benchmark.measures if scale == "paper" else ()
    asked = default if options.evaluate is None else options.evaluate
    names = tuple(name for name in asked if name in benchmark.measures)
    if not names:
        return EvaluationConfig(**values)
    values |= {**benchmark.evaluation, **methods.scale_of(options).evaluation}
    if options.evaluation_images:
        values["images"] = options.evaluation_images
    return EvaluationConfig(measures=names, **values)


@cache
def corrupted_digest(dataset: str, folder: Path) -> str | None:
    """Return the SHA-256 of a folder of corrupted test images; None if none is read there."""
    check = benchmarks.get(dataset).check_corrupted
    return None if check is None else check(folder)
