"""The images of a sweep: downloaded, and those of a folder decoded into memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.planning.plan import data_digest
from sweeps.engine.system import machine
from sweeps.engine.system.leaving import refuse

if TYPE_CHECKING:  # it loads torch
    from gon_core.data.splits import Splits

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
