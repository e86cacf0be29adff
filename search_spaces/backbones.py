"""Does it carry over to other networks? (Tables 8 and 10 of the paper)

| images | model, beside the usual one      | variant                                     | table |
| ------ | -------------------------------- | ------------------------------------------- | ----- |
| 224 px | densenet121                      | vanilla, ant_1x1                            | 10    |
| 299 px | inception_v3 alone               | vanilla, gnt_sigma_0.4, gnt_sigma_0.5, ford | 8     |
| 64 px  | resnet18                         | vanilla, ant_1x1                            |       |
| 32 px  | wrn_40_2; resnet18 at demo scale | vanilla, ant_1x1                            |       |
| 28 px  | wong_small                       | vanilla, ant_1x1                            |       |
"""

from collections.abc import Iterable

from gon_core.architectures import ARCHITECTURES
from gon_core.benchmarks import Benchmark, ScaleName
from gon_core.config import GNT
from search_spaces.parameter import VARIANT, Choice, Parameter, Point

MODEL = "model"
OTHER = {28: "wong_small", 32: "wrn_40_2", 64: "resnet18", 224: "densenet121", 299: "inception_v3"}
"""By height and width of images, the model beside the usual one."""
OF_TABLE_8 = {"gnt_sigma_0.4": GNT(sigma=0.4), "gnt_sigma_0.5": GNT(sigma=0.5)}
METHODS = {299: ("vanilla", *OF_TABLE_8, "ford")}
EVERYWHERE = ("vanilla", "ant_1x1")
PAPER = {299: (OTHER[299], "gnt_sigma_0.5")}
"""What the paper has on such images, where that is not ANT on the recipe's own network."""


def space(benchmark: Benchmark, variants: Iterable[str]) -> tuple[Parameter, ...]:
    """Return the two parameters; the paper's values are those of the table for such images."""
    usual = benchmark.scales["paper"].model or benchmark.model
    model, variant = PAPER.get(benchmark.image_shape[-1], (usual, "ant_1x1"))
    return (
        Choice(MODEL, tuple(ARCHITECTURES), "network", model),
        Choice(VARIANT, tuple(variants), "training method", variant),
    )


def models(benchmark: Benchmark, scale: ScaleName) -> tuple[str, ...]:
    """Return the models to compare on a benchmark by default."""
    side, usual = benchmark.image_shape[-1], benchmark.scales[scale].model or benchmark.model
    other = "resnet18" if (side, scale) == (32, "demo") else OTHER[side]
    return (other,) if other == "inception_v3" else (usual, other)


def variants(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the methods to compare on a benchmark by default."""
    return METHODS.get(benchmark.image_shape[-1], EVERYWHERE)


def points(models: Iterable[str], variants: Iterable[str]) -> tuple[Point, ...]:
    """Return every model with every method."""
    names = tuple(variants)
    return tuple((model, name) for model in models for name in names)
