"""The clean images of a sweep: read, held out, and kept in memory where they all fit."""

from collections.abc import Callable

from gon_core.config import DataConfig
from gon_core.data import stylized
from gon_core.data.files import DataFileError
from gon_core.data.folder_images import keep
from gon_core.data.splits import Splits, split
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.system import machine
from sweeps.engine.system.leaving import refuse

WORTH_PROCESSES = 2_000  # images, whose decoding takes as long as processes take to start


def read(data: DataConfig, options: SweepOptions, say: Callable[[str], None]) -> Splits:
    """Return the images that a sweep trains on and tests with.

    Args:
        data: which images.
        options: where they are, and where they are kept.
        say: prints what there is to know of them.

    Raises:
        SystemExit: 2 with the reason, if some cannot be decoded.
    """
    splits = split(*data.benchmark.read(options.data_dir), data)
    if data.folder is None:
        return splits
    return _kept(_with_stylized(splits, options, say), options, say)


def _with_stylized(splits: Splits, options: SweepOptions, say: Callable[[str], None]) -> Splits:
    """Put stylised images behind those to train on, where there are any."""
    find = options.benchmark.stylized
    if options.stylized_dir is None or options.data_dir is None or find is None:
        return splits
    try:
        found = stylized.add(splits, find(options.data_dir, options.stylized_dir))
    except DataFileError as error:
        refuse([f"--stylized-dir: {error}"])
    say(f"{found.stylized:,} stylised images are trained on: none of an image that is held out.")
    return found


def _kept(splits: Splits, options: SweepOptions, say: Callable[[str], None]) -> Splits:
    """Decode images into memory, those to train on too where they all fit."""
    keeps = options.keeps_images
    workers = 0 if len(splits.training) < WORTH_PROCESSES else machine.cpu_count()
    try:
        kept, by_pillow = keep(splits, keeps, workers, options.decoders)
    except DataFileError as error:
        refuse([f"--data-dir: {error}"])
    if by_pillow:
        say(f"{by_pillow:,} images are animated, or turned by EXIF: Pillow reads them.")
    if not keeps:
        say("Images to train on are decoded anew in every epoch: see data_seconds.")
    return kept
