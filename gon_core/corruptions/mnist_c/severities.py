"""Five severities of each corruption, an extension of MNIST-C: the published set has one.

Severity 3 is the published one to the bit, 1 and 2 are milder, 4 and 5 stronger: the mean l2
distance from the clean test images grows with every step.
"""

SEVERITIES = (1, 2, 3, 4, 5)
PUBLISHED_SEVERITY = 3

Strength = dict[str, float | int]
Five = tuple[float | int, float | int, float | int, float | int, float | int]


def _table(**arguments: Five) -> tuple[Strength, ...]:
    """Turn each argument's five values into the arguments at each of five severities."""
    return tuple(
        dict(zip(arguments, values, strict=True))
        for values in zip(*arguments.values(), strict=True)
    )


# By corruption, the keyword arguments of its function at severity 1, 2, 3, 4 and 5.
STRENGTHS: dict[str, tuple[Strength, ...]] = {
    "shot_noise": _table(photons=(8, 5, 3, 2, 1)),
    "impulse_noise": _table(share=(0.06, 0.11, 0.17, 0.27, 0.4)),
    "glass_blur": _table(
        # Even one pass of all swaps is no mild corruption: the mildest is one with few of them.
        passes=(1, 1, 2, 4, 7), cases=(24, 8, 8, 8, 8), sigma=(0.7, 0.7, 0.7, 0.9, 1.2)
    ),
    "motion_blur": _table(radius=(4, 7, 10, 13, 16), sigma=(1.0, 2.0, 3.0, 5.0, 8.0)),
    "shear": _table(angle=(0.2, 0.3, 0.4, 0.5, 0.6)),
    "scale": _table(factor=(0.9, 0.8, 0.7, 0.6, 0.5)),
    "rotate": _table(angle=(0.2, 0.3, 0.4, 0.55, 0.7)),
    "brightness": _table(amount=(0.2, 0.35, 0.5, 0.65, 0.8)),
    "translate": _table(shift=(1, 2, 3, 4, 5)),
    "stripe": _table(width=(3, 5, 7, 9, 11)),
    "fog": _table(density=(1.0, 2.0, 3.0, 4.5, 7.0)),
    "spatter": _table(threshold=(0.69, 0.67, 0.65, 0.62, 0.58)),
    "dotted_line": _table(reach=(1.2, 1.7, 2.3, 3.2, 4.5)),
    "zigzag": _table(reach=(1.2, 1.7, 2.3, 3.2, 4.5)),
    # A wider blur before the detector moves the edges away from where the digit's are.
    "canny_edges": _table(sigma=(0.5, 0.75, 1.0, 1.5, 2.0)),
}  # fmt: skip
