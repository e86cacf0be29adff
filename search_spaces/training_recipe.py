"""Do batch size, decays or the start matter? (appendix B: one factor at a time)

| parameter       | kind   | range              | unit                   | paper   |
| --------------- | ------ | ------------------ | ---------------------- | ------- |
| batch_size      | whole  | 50, 70, 100        | images a step          | 70      |
| decays          | whole  | 0, 1, 2            | of the rate, by 10     | 1       |
| initial_weights | choice | trained, random    | where training begins  | trained |

On other data than ImageNet batches are half, and twice, the recipe's. Where the learning rate
follows a schedule it has no decays at plateaus, and they are not searched.
"""

from collections.abc import Iterable

from gon_core.config import TrainingConfig
from gon_core.config.training import MOST_BATCH, MOST_DECAYS
from search_spaces.parameter import Choice, Parameter, Point, Value, Whole, papers_point

TRAINED, RANDOM = "trained", "random"
INITIAL_WEIGHTS = Choice("initial_weights", (TRAINED, RANDOM), "where training begins", TRAINED)
OF_THE_PAPER = {70: (50, 70, 100)}  # batch sizes, by that of the recipe
DECAYS = (0, 1, 2)


def space(recipe: TrainingConfig) -> tuple[Parameter, ...]:
    """Return what is varied around a recipe."""
    batch = Whole("batch_size", 1, MOST_BATCH, "images a step", recipe.batch_size)
    decays = Whole("decays", 0, MOST_DECAYS, "of the learning rate, by 10", recipe.decays)
    return (batch, *(() if recipe.is_scheduled else (decays,)), INITIAL_WEIGHTS)


def points(
    recipe: TrainingConfig,
    scratch: TrainingConfig,
    batch_sizes: Iterable[int] | None = None,
    decays: Iterable[int] | None = None,
) -> tuple[Point, ...]:
    """Return the recipe itself, then what differs from it in one parameter.

    Args:
        recipe: what is varied.
        scratch: training from random weights, whose schedule has decays of its own.
        batch_sizes, decays: to try; None for those of the table.
    """
    usual = recipe.batch_size
    batches = batch_sizes or OF_THE_PAPER.get(usual, (max(1, usual // 2), usual, 2 * usual))
    parameters = space(recipe)
    names = [parameter.name for parameter in parameters]
    base = dict(zip(names, papers_point(parameters) or (), strict=True))
    changes: list[tuple[str, Value]] = [("batch_size", size) for size in batches]
    if not recipe.is_scheduled:
        changes += [("decays", count) for count in decays or DECAYS]
    varied = [{**base, name: value} for name, value in changes]
    random = {**base, INITIAL_WEIGHTS.name: RANDOM}
    if "decays" in base and scratch.is_scheduled:
        random["decays"] = len(scratch.decay_epochs)
    return tuple(dict.fromkeys(tuple(each.values()) for each in (base, *varied, random)))
