"""The benchmarks by name: one file each. To add one, write its file and name it here."""

from gon_core.benchmarks.benchmark import (
    Benchmark,
    CorruptionSuite,
    Published,
    Scale,
    ScaleName,
    Strength,
)
from gon_core.benchmarks.fashion_mnist import FASHION_MNIST
from gon_core.benchmarks.kmnist import KMNIST
from gon_core.benchmarks.mnist import MNIST
from gon_core.names import nearest

__all__ = [
    "Benchmark", "CorruptionSuite", "Published", "Scale", "ScaleName", "Strength", "get", "names",
    "register",
]  # fmt: skip

_BENCHMARKS = {benchmark.name: benchmark for benchmark in (MNIST, FASHION_MNIST, KMNIST)}


def get(name: str) -> Benchmark:
    """Return the benchmark of a name.

    Raises:
        ValueError: there is none; names all of them and the nearest.
    """
    if name not in _BENCHMARKS:
        rule = f"must be one of {', '.join(_BENCHMARKS)}, got {name!r}"
        raise ValueError(f"dataset {rule}, nearest is {nearest(name, _BENCHMARKS)}")
    return _BENCHMARKS[name]


def names() -> tuple[str, ...]:
    """Return the names of all benchmarks."""
    return tuple(_BENCHMARKS)


def register(benchmark: Benchmark) -> None:
    """Add a benchmark of your own; one of the same name is replaced.

    Processes that a sweep starts elsewhere must register it as well.
    """
    _BENCHMARKS[benchmark.name] = benchmark
