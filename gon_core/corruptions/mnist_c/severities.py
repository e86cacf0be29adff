"""Five severities of each corruption, an extension of MNIST-C: the published set has one.

Severity 3 is the published one to the bit, 1 and 2 are milder, 4 and 5 stronger.
"""

SEVERITIES = (1, 2, 3, 4, 5)
PUBLISHED_SEVERITY = 3

Strength = dict[str, float]


def _each(name: str, *values: float) -> tuple[Strength, Strength, Strength, Strength, Strength]:
    one, two, three, four, five = ({name: value} for value in values)
    return one, two, three, four, five


# By corruption, its keyword arguments at severity 1, 2, 3, 4 and 5; see the functions for what
# they mean.
STRENGTHS: dict[str, tuple[Strength, Strength, Strength, Strength, Strength]] = {
    "shot_noise": _each("photons", 8, 5, 3, 2, 1),
    "impulse_noise": _each("share", 0.06, 0.11, 0.17, 0.27, 0.4),
    "glass_blur": (
        {"sigma": 0.7, "passes": 0}, {"sigma": 0.7, "passes": 1}, {"sigma": 0.7, "passes": 2},
        {"sigma": 0.9, "passes": 4}, {"sigma": 1.2, "passes": 7},
    ),
    "motion_blur": (
        {"radius": 4, "sigma": 1.0}, {"radius": 7, "sigma": 2.0}, {"radius": 10, "sigma": 3.0},
        {"radius": 13, "sigma": 5.0}, {"radius": 16, "sigma": 8.0},
    ),
    "shear": _each("angle", 0.2, 0.3, 0.4, 0.5, 0.6),
    "scale": _each("factor", 0.9, 0.8, 0.7, 0.6, 0.5),
    "rotate": _each("angle", 0.2, 0.3, 0.4, 0.55, 0.7),
    "brightness": _each("amount", 0.2, 0.35, 0.5, 0.65, 0.8),
    "translate": _each("shift", 1, 2, 3, 4, 5),
    "stripe": _each("width", 3, 5, 7, 9, 11),
    "fog": _each("density", 1.0, 2.0, 3.0, 4.5, 7.0),
    "spatter": _each("threshold", 0.69, 0.67, 0.65, 0.62, 0.58),
    "dotted_line": _each("reach", 1.2, 1.7, 2.3, 3.2, 4.5),
    "zigzag": _each("reach", 1.2, 1.7, 2.3, 3.2, 4.5),
    "canny_edges": _each("sigma", 0.5, 0.75, 1.0, 1.5, 2.0),
}  # fmt: skip
