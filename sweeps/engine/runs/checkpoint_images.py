"""The images that checkpoints are evaluated on: their benchmark's, or those of a folder."""

import hashlib
from dataclasses import replace

from gon_core import evaluation
from gon_core.config import DataConfig, EvaluationConfig
from gon_core.data import folder_images, mnist_c_folder
from gon_core.data.files import DataFileError
from gon_core.data.splits import split
from gon_core.evaluation import EvaluationSet
from gon_core.evaluation.measure import total_passes
from gon_core.measures import MEASURES
from sweeps.engine.planning import plan, recipe
from sweeps.engine.runs import checkpoint_imagenet
from sweeps.engine.runs.checkpoint_options import CheckpointOptions
from sweeps.engine.runs.evaluated_images import Images
from sweeps.engine.system.leaving import refuse
from sweeps.engine.trials import measures


def image_problems(options: CheckpointOptions) -> list[str]:
    """Return what is wrong with a folder of images, a line each; few of them are read."""
    if options.on_imagenet:
        return checkpoint_imagenet.problems(options)
    option, benchmark = "data-dir", options.benchmark
    try:
        digest = plan.data_digest(benchmark.name, options.data_dir)
        if benchmark.folder is not None and digest != benchmark.folder.digest:
            return ["--data-dir: holds other images than the checkpoints were trained on"]
        if options.corrupted_dir is not None:
            option = "corrupted-dir"
            recipe.corrupted_digest(benchmark.name, options.corrupted_dir)
        if options.mnist_c is not None:
            option = "mnist-c"
            known = mnist_c_folder.MNIST
            if benchmark != known:
                return [f"--mnist-c: is for {known.title}, these are of {benchmark.name}"]
            mnist_c_folder.check(options.mnist_c)
    except DataFileError as error:
        return [f"--{option}: {problem}" for problem in str(error).split("; ")]
    return []


def load_images(options: CheckpointOptions, generator_steps: int | None = None) -> Images:
    """Return what to evaluate on, in whose folder there is nothing wrong."""
    if options.on_imagenet:
        return checkpoint_imagenet.load(options, generator_limits(generator_steps))
    benchmark = options.benchmark
    published = evaluation.read_mnist_c(options.mnist_c) if options.mnist_c else None
    names = benchmark.measures
    if "evaluate" in options.model_fields_set:
        names = tuple(name for name in options.evaluate or () if name in benchmark.measures)
    if published is not None:  # of the folder there is one severity; ours are of other images
        names = tuple(name for name in names if not MEASURES[name].makes_severities)
    folder, corrupted = options.corrupted_dir, None
    if folder is not None:
        corrupted = recipe.corrupted_digest(benchmark.name, folder)
    config = EvaluationConfig(
        measures=names,
        images=options.evaluation_images,
        left_out=benchmark.suites["test"].lacking(),
        corruption_set=_digest(published) if published else corrupted,
    )
    if total_passes(config, 1, benchmark).generator > 0:
        config = config.model_copy(update=generator_limits(generator_steps))
    data = DataConfig(
        dataset=benchmark.name,
        folder=benchmark.folder,
        validation_images=options.validation_images or benchmark.held_out,
        test_images=options.test_images or benchmark.test_images,
    )
    data = recipe.sampled(data, config)
    splits = split(*benchmark.read(options.data_dir), data)
    if benchmark.folder is not None:
        try:
            assert isinstance(splits.training, folder_images.FolderImages), "it is a folder's"
            all_fit = folder_images.fits(len(splits.training), splits.training.side)
            splits, _ = folder_images.keep(splits, all_fit, workers=0, in_trials=options.decoders)
        except DataFileError as error:
            refuse([f"--data-dir: {error}"])
    prepared = measures.prepare_data(splits, config, folder)
    if published is not None:
        is_whole = len(published) == benchmark.test_images
        shown = {
            key: found[splits.chosen] if is_whole else found.first(data.test_images)
            for key, found in published.images.items()
        }
        test = EvaluationSet("test", shown)
        prepared = replace(prepared, test=test, prepared={})
        data = data.model_copy(update={"test_images": len(test)})
    digest = plan.data_digest(benchmark.name, options.data_dir)
    return Images(config, data, digest, prepared.to(options.device), splits)


def generator_limits(steps: int | None) -> dict[str, int]:
    """Return the fields of ``EvaluationConfig`` for a limit of steps: whole blocks, at least one.

    What is no less than in the paper is left out, so that it makes no other trial.
    """
    whole = EvaluationConfig()
    block = whole.generator_steps
    if steps is None or steps >= block * whole.generator_blocks:
        return {}
    return {"generator_steps": min(steps, block), "generator_blocks": max(1, steps // block)}


def _digest(images: EvaluationSet) -> str:
    sha = hashlib.sha256(images.clean.labels.numpy().tobytes())
    for found in images.images.values():
        sha.update(found.batch(slice(None)).numpy().tobytes())
    return sha.hexdigest()
