"""The images of a sweep: downloaded, and those of a folder decoded into memory."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from gon_core.config import DataConfig
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.plan import data_digest
from sweeps.engine.system import machine
from sweeps.engine.system.leaving import refuse

if TYPE_CHECKING:  # it loads torch
    from gon_core.data.splits import Splits

GIGABYTE = 1e9
WORTH_PROCESSES = 2_000  # images, whose decoding takes as long as processes take to start


def download(options: SweepOptions) -> None:
    """Fetch the data set; exit with code 2 where that fails."""
    from gon_core.data.files import DataFileError

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
    from gon_core.data import sharded  # slow: it loads pyarrow and torch

    kept, rest = data.validation_images + data.test_images, "; those to train on as well"
    if options.keeps_images:
        kept += data.images_of_an_epoch
    else:
        rest = "; those to train on are decoded in every epoch"
    size = kept * math.prod(data.benchmark.image_shape) / GIGABYTE
    lines = [f"Memory of each machine: {kept:,} images kept decoded take {size:.3g} GB{rest}."]
    assert options.data_dir is not None, "a folder was given"
    uri = sharded.as_uri(options.data_dir)
    if sharded.is_sharded(uri):
        size = sharded.total_bytes(uri) / GIGABYTE
        return [*lines, f"Each machine copies the shards once into its cache: {size:.3g} GB."]
    return [*lines, "Images are read where they are: nothing is copied."]


def decoded(splits: "Splits", options: SweepOptions, say: Callable[[str], None]) -> "Splits":
    """Decode a folder's images into memory, those to train on too where they all fit."""
    from gon_core.data.files import DataFileError
    from gon_core.data.folder_images import keep

    workers = 0 if len(splits.training) < WORTH_PROCESSES else machine.cpu_count()
    try:
        kept, by_pillow = keep(splits, options.keeps_images, workers, options.decoders)
    except DataFileError as error:
        refuse([f"--data-dir: {error}"])
    if by_pillow:
        say(f"{by_pillow:,} images are animated, or turned by EXIF: Pillow reads them.")
    if not options.keeps_images:
        say("Images to train on are decoded anew in every epoch: see data_seconds.")
    return kept
