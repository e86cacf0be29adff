"""All that adversarial noise training can be tuned by, together.

| parameter               | kind        | range                               | step | paper |
| ----------------------- | ----------- | ----------------------------------- | ---- | ----- |
| epsilon                 | real        | by benchmark, l2 norm               | 0.1  | 10    |
| depth                   | whole       | 1 to 5 convolutions                 | 1    | 4     |
| kernel_size             | choice      | 1, 3 pixels                         |      | 1     |
| reset_interval          | choice      | 0.1, 0.2, 0.33, 0.5, 1, 2, never    |      | 0.33  |
| generator_learning_rate | real, log   | 1e-5 to 1e-1                        | 1e-6 | 1e-4  |
| past_share              | real        | 0 to 0.4 of a batch, half is clean  | 0.01 | 0.2   |
"""

from gon_core.benchmarks import Benchmark
from search_spaces.generator_depth import DEPTH, KERNEL_SIZE
from search_spaces.parameter import Parameter, Point, Real
from search_spaces.reset_interval import RESET_INTERVAL
from search_spaces.strength import joint_strength

GENERATOR_LEARNING_RATE = Real(
    name="generator_learning_rate", low=1e-5, high=1e-1, step=1e-6, unit="Adam", paper=1e-4,
    log=True,
)  # fmt: skip
PAST_SHARE = Real(
    name="past_share", low=0.0, high=0.4, step=0.01, unit="share of a batch", paper=0.2
)

OTHERS = (DEPTH, KERNEL_SIZE, RESET_INTERVAL, GENERATOR_LEARNING_RATE, PAST_SHARE)
NAMES = ("epsilon", *(parameter.name for parameter in OTHERS))


def space(benchmark: Benchmark) -> tuple[Parameter, ...]:
    """Return the space on a benchmark, which has a range of epsilon of its own."""
    return (joint_strength(benchmark, "ant_1x1"), *OTHERS)


def nearest_legal(point: Point) -> Point:
    """Return ``point`` with a 1x1 kernel where a depth of 1 leaves no layer to be 3x3."""
    values = dict(zip(NAMES, point, strict=True))
    if values["depth"] == 1:
        values["kernel_size"] = 1
    return tuple(values.values())
