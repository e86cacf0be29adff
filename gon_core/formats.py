"""Which computation made a result: two versions, raised by hand, and the packages beside them.

Raise a format in the commit that changes what it stands for, and say in the changelog why:

- ``TRAINING_FORMAT``: the same configuration and seed train to other weights than before, or a
  checkpoint holds other files. A checkpoint of another format is never resumed from.
- ``EVALUATION_FORMAT``: the same model gets other figures than before, beyond rounding.

Names, comments, speed and new methods or measures change neither. A test compares every method
and measure with stored figures: ``tests/gon_core/test_formats.py``.
"""

from functools import cache
from importlib import metadata

TRAINING_FORMAT = 1
EVALUATION_FORMAT = 1

_version = cache(metadata.version)


def training_code() -> dict[str, int | str]:
    """Return what a checkpoint depends on: the training's format and the version of torch."""
    return {"training_format": TRAINING_FORMAT, "torch": _version("torch")}


def evaluation_code() -> dict[str, int | str]:
    """Return what a measurement depends on: its format and the versions of the packages."""
    packages = ("torch", "torchvision")
    versions = {name: _version(name) for name in packages}
    return {"evaluation_format": EVALUATION_FORMAT, **versions}
