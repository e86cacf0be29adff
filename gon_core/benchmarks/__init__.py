"""The benchmarks by name: one file each. To add one, write its file and name it here."""

from gon_core.benchmarks.benchmark import (
    THE_PAPER,
    Benchmark,
    CorruptionSuite,
    Published,
    Scale,
    ScaleName,
    Strength,
)
from gon_core.benchmarks.cifar10 import CIFAR10
from gon_core.benchmarks.fashion_mnist import FASHION_MNIST
from gon_core.benchmarks.image_folder import IMAGE_FOLDER
from gon_core.benchmarks.imagenet import IMAGENET, IMAGENET100, IMAGENET_C
from gon_core.benchmarks.kmnist import KMNIST
from gon_core.benchmarks.mnist import MNIST
from gon_core.names import nearest

__all__ = [
    "THE_PAPER", "Benchmark", "CorruptionSuite", "Published", "Scale", "ScaleName", "Strength",
    "get", "names", "register",
]  # fmt: skip

_ALL = (MNIST, FASHION_MNIST, KMNIST, CIFAR10, IMAGENET, IMAGENET100, IMAGE_FOLDER, IMAGENET_C)
_BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}


def get(name: str) -> Benchmark:
    """Return the benchmark of a name.

    Raises:
        ValueError: there is none; names all of them and the nearest.
    """
    if name not in _BENCHMARKS:
        rule = f"must be one of {', '.join(_BENCHMARKS)}, got {name!r}"
        raise ValueError(f"dataset {rule}, nearest is {nearest(name, _BENCHMARKS)}")
    return _BENCHMARKS[name]


def names(trained_only: bool = True) -> tuple[str, ...]:
    """Return the names of the benchmarks that can be trained on, or of all."""
    return tuple(name for name, found in _BENCHMARKS.items() if found.scales or not trained_only)


def register(benchmark: Benchmark) -> None:
    """Add a benchmark of your own; one of the same name is replaced.

    Processes that a sweep starts elsewhere must register it as well.
    """
    _BENCHMARKS[benchmark.name] = benchmark
