"""What a measure of a final model is: how it is run, what it costs, how its numbers are shown."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool
from torch import Generator, Tensor, nn

from gon_core.benchmarks import Benchmark
from gon_core.config import EvaluationConfig
from gon_core.data.imagenet_c_folder import ImageNetC
from gon_core.data.splits import Images
from gon_core.evaluation.corrupted_sets import EvaluationSet
from gon_core.measurement import Finding, Measurement
from gon_core.measures import MEASURES
from gon_core.seeding import generator


@runtime_checkable
class Accuracies(Protocol):
    """Measures accuracies: the functions of ``gon_core.evaluation``, or machines of a cluster."""

    def evaluate_images(
        self, model: nn.Module, evaluation_set: EvaluationSet, bf16: bool = False
    ) -> Iterator[tuple[Measurement, Bool[Tensor, " image"]]]:
        """See ``gon_core.evaluation``."""
        ...

    def evaluate_imagenet_c(self, model: nn.Module, images: ImageNetC) -> Iterator[Measurement]:
        """See ``gon_core.evaluation``."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """Images that a measure needs beside the clean ones, made once for all models."""

    def to(self, device: str) -> Any:
        """Return the same on ``device``."""
        ...


@runtime_checkable
class Steps(Protocol):
    """The steps of the evaluation of one model: those that are done are not done again.

    Attributes:
        found: what the finished steps found, by their names.
    """

    found: dict[str, Finding]

    def begin(self, name: str, of: str = "batches", parts: int = 0) -> None:
        """Say that something is measured now, in so many steps if there are several.

        ``of`` stands behind the number of forward passes.
        """
        ...

    def add(self, step: str, finding: Finding) -> None:
        """Keep what a step found."""
        ...

    def take(
        self, step: str, find: Callable[[], Finding], name: str, of: str = "batches"
    ) -> Finding:
        """Return what a step found; if it is not done, ``begin`` it and call ``find``."""
        ...

    def passed(self) -> None:
        """Count a pass of the model that a GPU replayed as a part of a graph."""
        ...


@dataclass(frozen=True)
class Subject:
    """What is measured, and on which images.

    Attributes:
        model: the final one, on the images' device.
        benchmark: what the images are of.
        training: the images that it was trained on.
        validation: held-out images, clean and corrupted.
        test: test images, clean and corrupted.
        config: what is measured, and how thoroughly.
        bf16: whether accuracies are measured in bfloat16.
        accuracies: measures them.
        prepared: what the measure's ``prepare`` returned.
    """

    model: nn.Module
    benchmark: Benchmark
    training: Images
    validation: EvaluationSet
    test: EvaluationSet
    config: EvaluationConfig
    bf16: bool
    accuracies: Accuracies
    prepared: Any = None

    @property
    def images(self) -> Images:
        """The first clean test images, as many as further measures take."""
        return self.test.clean.first(self.config.images)

    def stream(self, name: str) -> Generator:
        """Return a random stream that is the same for every model, on the images' device."""
        return generator(self.config.corruption_seed, name, device=self.test.clean.device)


@dataclass
class Measured:
    """What was measured of one model.

    Attributes:
        measurements: in any order.
        files: safetensors to be kept beside them, by name without ending.
        spread: standard deviation over test images of their share of right answers under
            corruption, in percent; None where that was not measured.
    """

    measurements: list[Measurement] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    spread: float | None = None


class Passes(NamedTuple):
    """Images that go through a model for a measure.

    Attributes:
        forward: that are classified.
        gradient: whose gradient is computed as well.
        generator: of steps that train a noise generator, at most.
    """

    forward: float = 0.0
    gradient: float = 0.0
    generator: float = 0.0


@dataclass(frozen=True)
class Measure:
    """A measure of final models. Its name is that of its line in ``gon_core.measures``.

    Attributes:
        words: what sentences call it.
        unit: of the values.
        setting: what the settings of its rows are, such as ``corruption``: a column of Parquet.
        run: measures a model, in steps.
        passes: what it costs, from the configuration, the number of images and the benchmark.
        prepare: makes further images once for all models, from clean ones, the benchmark and the
            seed of corruptions; None if it needs none.
        deviations: what is less thorough than in the paper, in words.
        note: how to read its columns of a table.
        title: what titles call it; empty for ``words``.
        head: what heads of columns begin with, before the setting; None for ``words``.
        limits: of the values, beyond which no interval is shown.
        decimals: of values in tables.
        name: what columns and metrics call the setting of a row; spaces are underscores.
        figures: further numbers of a row that a tracker shows, by name.
    """

    words: str
    unit: str
    setting: str
    run: Callable[[Subject, Steps], Measured]
    passes: Callable[[EvaluationConfig, int, Benchmark], Passes]
    prepare: Callable[[Images, Benchmark, int], Prepared] | None = None
    deviations: Callable[[EvaluationConfig], list[str]] = lambda config: []
    note: str = ""
    title: str = ""
    head: str | None = None
    limits: tuple[float, float] = (-math.inf, math.inf)
    decimals: int = 1
    name: Callable[[Measurement], str] = lambda row: row.setting
    figures: Callable[[Measurement], Mapping[str, float]] = lambda row: {}


def get(name: str) -> Measure:
    """Return the measure of this name.

    Raises:
        KeyError: there is none.
    """
    return MEASURES[name].load()


def total_passes(config: EvaluationConfig, images: int, benchmark: Benchmark) -> Passes:
    """Return what all further measures of ``config`` cost together, on so many images."""
    found: Sequence[Passes] = [
        get(name).passes(config, images, benchmark) for name in config.measures
    ]
    return Passes(*(sum(each, 0.0) for each in zip(*found, strict=True))) if found else Passes()
