"""How strong should a training method be? The one number that each is tuned by, on a benchmark.

The ranges are those of ``gon_core.benchmarks``. On MNIST:

| method         | parameter     | range       | step  | paper, or the method's authors |
| -------------- | ------------- | ----------- | ----- | ------------------------------ |
| gnt            | sigma         | 0 to 2      | 0.01  | 0.5                            |
| gnt_mult       | largest_sigma | 0.02 to 2   | 0.01  | 0.38                           |
| speckle        | largest_sigma | 0.02 to 2   | 0.01  | 0.6                            |
| ford           | sigma_max     | 0 to 2      | 0.01  | 0.4                            |
| patch_gaussian | sigma_max     | 0 to 2      | 0.01  | 1                              |
| augmix         | severity      | 0.5 to 10   | 0.1   | 3                              |
| pgd            | epsilon       | 0.02 to 0.5 | 0.01  | 0.3, l-infinity                |
| ddn            | max_norm      | 0.2 to 6    | 0.1   | 2.4, l2                        |
| ant_*          | epsilon       | 1 to 18     | 0.1   | 10, l2; 5.2 with 3x3 kernels   |

Vanilla training has none: it is sigma 0.
"""

from dataclasses import replace

from gon_core.benchmarks import Benchmark
from search_spaces.parameter import Real


def strength(benchmark: Benchmark, variant: str) -> Real:
    """Return the parameter of a line search over one training method.

    Raises:
        KeyError: the method has no strength, as vanilla training has none.
    """
    found = benchmark.strengths[variant]
    paper = float(getattr(benchmark.methods[variant], found.parameter))
    return Real(found.parameter, found.low, found.high, found.step, found.unit, paper)


def joint_strength(benchmark: Benchmark, variant: str) -> Real:
    """Return the same for a search over several parameters, which may look in a smaller range."""
    whole, joint = strength(benchmark, variant), benchmark.strengths[variant].joint
    return whole if joint is None else replace(whole, low=joint[0], high=joint[1])
