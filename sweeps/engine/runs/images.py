"""The images of a sweep: downloaded, read, and those of a folder decoded into memory."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from gon_core.config import DataConfig
from gon_core.data.files import DataFileError
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning import recipe
from sweeps.engine.planning.plan import data_digest
from sweeps.engine.system import machine
from sweeps.engine.system.leaving import refuse

if TYPE_CHECKING:  # it loads torch
    from gon_core.data.splits import Splits

GIGABYTE = 1e9
WORTH_PROCESSES = 2_000  # images, whose decoding takes as long as processes take to start


def download(options: SweepOptions) -> None:
    """Fetch the data set; exit with code 2 where that fails."""
    fetch = options.benchmark.download
    assert options.data_dir is not None and fetch is not None
    try:
        fetch(options.data_dir)
        data_digest(options.dataset, options.data_dir)
    except DataFileError as error:
        refuse([f"--dataset: {error}"])


def image_lines(data: DataConfig, options: SweepOptions) -> list[str]:
    """Return what images of a folder take on each machine: memory, and what is copied."""
    if data.folder is None:
        return []
    from gon_core.data import folder_images, parquet_folder  # slow: they load pyarrow and torch

    kept, rest, shape = data.validation_images, [], data.benchmark.image_shape
    if folder_images.fits(data.test_images, shape[-1]):
        kept += data.test_images
    else:
        rest.append("those to test on are decoded when they are wanted")
    if options.keeps_images:
        kept += data.images_of_an_epoch
    else:
        rest.append("those to train on are decoded in every epoch")
    size = kept * math.prod(shape) / GIGABYTE
    kept_words = f"{kept:,} images kept decoded take {size:.3g} GB"
    lines = [f"Memory of each machine: {'; '.join([kept_words, *rest])}."]
    assert options.data_dir is not None, "a folder was given"
    uri = parquet_folder.as_uri(options.data_dir)
    if parquet_folder.is_sharded(uri):
        size = parquet_folder.total_bytes(uri) / GIGABYTE
        return [*lines, f"Each machine copies the shards once into its cache: {size:.3g} GB."]
    return [*lines, "Images are read where they are: nothing is copied."]


def copy(data: DataConfig, options: SweepOptions, say: Callable[[str], None]) -> None:
    """Copy shards to this machine, before anything of the sweep is written.

    Damage inside of one is found no earlier, and neither is a name of a list that no image has.

    Raises:
        SystemExit: 2 with the reason, if one cannot be copied, or the list names such an image.
    """
    given = [place for place in (options.data_dir, options.stylized_dir) if place is not None]
    if data.folder is None or not given:
        return
    from gon_core.data import parquet_folder  # it loads pyarrow

    uris = [
        uri for place in given if parquet_folder.is_sharded(uri := parquet_folder.as_uri(place))
    ]
    if not uris:
        return
    size = sum(map(parquet_folder.total_bytes, uris)) / GIGABYTE
    say(f"Shards, {size:.3g} GB, are copied into this machine's cache, if they are not there yet.")
    option, find = "data-dir", options.benchmark.stylized
    try:
        _, test = data.benchmark.read(options.data_dir)
        option = "image-list"
        recipe.listed_among(test, options)
        option = "stylized-dir"
        if options.stylized_dir is not None and options.data_dir is not None and find is not None:
            find(options.data_dir, options.stylized_dir).open()
    except DataFileError as error:
        refuse([f"--{option}: {error}"])


def read(
    data: DataConfig, options: SweepOptions, decoders: int, say: Callable[[str], None]
) -> "Splits":
    """Return the images that a sweep trains on and tests with.

    Args:
        data: which images.
        options: where they are, and where they are kept.
        decoders: processes that decode for each process of trials, in every epoch.
        say: prints what there is to know of them.

    Raises:
        SystemExit: 2 with the reason, if some cannot be decoded.
    """
    from gon_core.data.splits import split

    training, test = data.benchmark.read(options.data_dir)
    splits = split(training, test, data, recipe.listed_among(test, options))
    if data.folder is None:
        return splits
    return _kept(_with_stylized(splits, options, say), options, decoders, say)


def _with_stylized(splits: "Splits", options: SweepOptions, say: Callable[[str], None]) -> "Splits":
    """Put stylised images behind those to train on, where there are any."""
    from gon_core.data import stylized

    find = options.benchmark.stylized
    if options.stylized_dir is None or options.data_dir is None or find is None:
        return splits
    try:
        found = stylized.add(splits, find(options.data_dir, options.stylized_dir))
    except DataFileError as error:
        refuse([f"--stylized-dir: {error}"])
    say(f"{found.stylized:,} stylised images are trained on: none of an image that is held out.")
    return found


def _kept(
    splits: "Splits", options: SweepOptions, decoders: int, say: Callable[[str], None]
) -> "Splits":
    """Decode images into memory, those to train on too where they all fit."""
    from gon_core.data.folder_images import keep
    from gon_core.data.splits import LabelledImages

    keeps = options.keeps_images
    workers = 0 if len(splits.training) < WORTH_PROCESSES else machine.cpu_count()
    try:
        kept, noted = keep(splits, keeps, workers, decoders)
    except DataFileError as error:
        refuse([f"--data-dir: {error}"])
    if noted.by_pillow:
        say(f"{noted.by_pillow:,} images are animated, or turned by EXIF: Pillow reads them.")
    if noted.enlarged:
        parts = [kept.training, kept.validation, kept.test]
        count = sum(len(part) for part in parts if isinstance(part, LabelledImages))
        rule = f"a side below {splits.training.side} pixels and are enlarged, as torchvision does"
        say(f"{noted.enlarged:,} of the {count:,} images decoded here have {rule}.")
    if not keeps:
        say("Images to train on are decoded anew in every epoch: see data_seconds.")
    return kept
