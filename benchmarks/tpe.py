"""Does TPE find as much when it looks at the last of very many points, and what does it save?

Run it as ``python benchmarks/tpe.py``. A joint search of the generator's parameters proposes points
whose accuracies are made up: one smooth hill, or one with ripples that hide it, both with chance
added as seeds do. It looks at all points, or at the last ones
(``sweeps.engine.search.search.LOOKED_AT``), each with the same seeds.

Accuracies are without chance: what a point is worth, not what was measured of it.
"""

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from gon_core.benchmarks.mnist import MNIST
from gon_core.config import DataConfig, TrainingConfig, TrialConfig, Vanilla
from search_spaces.joint import nearest_legal, space
from search_spaces.parameter import Point, Real, Whole
from sweeps.engine.search import search as searches
from sweeps.engine.search.ledger import Ledger
from sweeps.engine.search.search import JointSearch

SPACE = space(MNIST)
ALL = 10**9
CHANCE = 0.3  # percentage points, the standard deviation over seeds
RUNNING = 16


def position(parameter: Any, value: Any) -> float:
    """Return where a value lies in its range, in [0, 1]."""
    if isinstance(parameter, Real) and parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        return (math.log(value) - low) / (high - low)
    if isinstance(parameter, Real | Whole):
        return (value - parameter.low) / (parameter.high - parameter.low)
    return parameter.values.index(value) / (len(parameter.values) - 1)


TOP = (0.62, 0.75, 0.0, 0.4, 0.3, 0.55)


def hill(point: Point) -> float:
    """Return an accuracy that falls smoothly from one best point."""
    places = [position(parameter, value) for parameter, value in zip(SPACE, point, strict=True)]
    return 90 - 20 * sum((place - top) ** 2 for place, top in zip(places, TOP, strict=True))


def ripples(point: Point) -> float:
    """Return an accuracy with many local optima on the way to the best point."""
    places = [position(parameter, value) for parameter, value in zip(SPACE, point, strict=True)]
    apart = [place - top for place, top in zip(places, TOP, strict=True)]
    return hill(point) - sum(1 - math.cos(6 * math.pi * distance) for distance in apart) / 2


def two_aims(point: Point) -> tuple[float, float]:
    """Return two accuracies, of which one is bought with the other."""
    return 99 - 8 * position(SPACE[0], point[0]) ** 2 - (90 - hill(point)) / 4, hill(point)


def configure(point: Point, seed: int) -> TrialConfig:
    """Return the configuration of a trial; nothing is trained, so that all are alike."""
    data, training = DataConfig(), TrainingConfig()
    return TrialConfig(method=Vanilla(), data=data, training=training, start=None, seed=seed)


def search(
    worth: Callable[[Point], tuple[float, ...]], objectives: int, points: int, seed: int
) -> tuple[list[Point], dict[Point, tuple[float, ...]], float]:
    """Run one search; return its points, what was measured of them, and ms of CPU a proposal."""
    ledger = Ledger([], (0,), configure)
    found = JointSearch(ledger, SPACE, points, objectives, "tpe", seed, {}, nearest_legal)
    chance, running, spent = random.Random(seed), [], 0.0
    measured: dict[Point, tuple[float, ...]] = {}
    while running or not found.is_exhausted:
        while len(running) < RUNNING and not found.is_exhausted:
            started = time.process_time()
            trial = found.next_trial()
            spent += time.process_time() - started
            if trial is not None:
                running.append(trial)
        point, trial_seed, _ = running.pop(chance.randrange(len(running)))
        measured[point] = tuple(value + chance.gauss(0, CHANCE) for value in worth(point))
        found.ledger.record(point, trial_seed, "max_epochs", measured[point])
    return list(found.ledger.entries), measured, 1000 * spent / points


def hypervolume(pairs: Sequence[tuple[float, ...]]) -> float:
    """Return the area that the pairs dominate, above (80, 70)."""
    area, highest = 0.0, 70.0
    for first, second in sorted(pairs, reverse=True):
        if second > highest and first > 80:
            area += (first - 80) * (second - highest)
            highest = second
    return area


def main() -> None:
    """Print what is found, by how many points TPE looks at."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kept", nargs="+", type=int, default=[ALL, 500, 200])
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5, help="seeds of each")
    parser.add_argument("--worths", nargs="+", choices=["hill", "ripples", "two_aims"],
                        default=["hill", "ripples", "two_aims"])  # fmt: skip
    given = parser.parse_args()
    chosen: dict[str, Any] = {"hill": hill, "ripples": ripples, "two_aims": two_aims}
    for name in given.worths:
        worth = chosen[name]
        objectives = 2 if name == "two_aims" else 1
        values = worth if objectives == 2 else lambda point, worth=worth: (worth(point),)
        print(f"\n{name}: best, mean of the last quarter, ms of CPU a proposal", flush=True)
        for kept in given.kept:
            searches.LOOKED_AT = kept
            bests, lasts, costs = [], [], []
            for seed in range(given.rounds):
                points, measured, cost = search(values, objectives, given.points, 1000 * seed)
                if objectives == 2:
                    bests.append(hypervolume([values(point) for point in points]))
                else:
                    bests.append(worth(max(measured, key=lambda point: measured[point])))
                lasts.append(statistics.mean(values(p)[-1] for p in points[-given.points // 4 :]))
                costs.append(cost)
            shown = [f"{statistics.mean(x):9.3f} ± {statistics.stdev(x):.3f}"
                     for x in (bests, lasts)]  # fmt: skip
            print(f"{'all' if kept == ALL else kept:>6} {' '.join(shown)} "
                  f"{statistics.median(costs):8.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
