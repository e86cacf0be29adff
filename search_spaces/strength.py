"""How strong should a training method be? The one number that each is tuned by.

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

from dataclasses import dataclass, replace

from search_spaces import epsilon, sigma
from search_spaces.parameter import Real

PIXELS = "[0, 1] pixels"


@dataclass(frozen=True)
class Strength:
    """What a line search over one method needs.

    Attributes:
        parameter: a field, or a property, of the method.
        coarse_grid: to begin with at demo scale.
        paper_grid: to begin with at paper scale.
    """

    parameter: Real
    coarse_grid: tuple[float, ...]
    paper_grid: tuple[float, ...]


def _largest_sigma(paper: float) -> Strength:
    parameter = Real("largest_sigma", 0.02, 2.0, 0.01, PIXELS, paper)
    return Strength(parameter, (0.2, 0.4, 0.6, 0.9), (0.1, 0.2, 0.3, 0.38, 0.5, 0.6, 0.8, 1.0, 1.2))


def _sigma_max(paper: float) -> Strength:
    parameter = Real("sigma_max", 0.0, 2.0, 0.01, PIXELS, paper)
    return Strength(parameter, sigma.COARSE_GRID, sigma.PAPER_GRID)


_ANT = Strength(epsilon.EPSILON, epsilon.COARSE_GRID, epsilon.PAPER_GRID)

STRENGTHS: dict[str, Strength] = {
    "gnt": Strength(sigma.SIGMA, sigma.COARSE_GRID, sigma.PAPER_GRID),
    "gnt_mult": _largest_sigma(0.38),
    "speckle": _largest_sigma(0.6),
    "ford": _sigma_max(0.4),
    "patch_gaussian": _sigma_max(1.0),
    "augmix": Strength(
        Real("severity", 0.5, 10.0, 0.1, "of 10", 3.0), (1.0, 3.0, 6.0, 10.0),
        (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0),
    ),
    "pgd": Strength(
        Real("epsilon", 0.02, 0.5, 0.01, f"l-infinity, {PIXELS}", 0.3), (0.05, 0.1, 0.2, 0.3),
        (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4),
    ),
    "ddn": Strength(
        Real("max_norm", 0.2, 6.0, 0.1, f"l2 norm, {PIXELS}", 2.4), (0.5, 1.5, 2.4, 4.0),
        (0.5, 1.0, 1.5, 2.0, 2.4, 3.0, 4.0, 5.0),
    ),
    "ant_1x1": _ANT,
    "ant_3x3": replace(_ANT, parameter=replace(epsilon.EPSILON, paper=5.2)),
    "ant_1x1_without_replay": _ANT,
}  # fmt: skip
