"""The parameters of the published sets: ImageNet-C, its versions of other sizes, and CIFAR-10-C.

For each side of an image in pixels, and each corruption, the arguments of its function at the
severities 1 to 5.

References:
    Hendrycks & Dietterich, Benchmarking Neural Network Robustness, 2019: the code that made
    ImageNet-C (224 px, and 299 px for Inception), Tiny ImageNet-C (64 px) and CIFAR-10-C (32 px).
"""

Strengths = dict[str, tuple[tuple[float, ...], ...]]


def _each(*values: float) -> tuple[tuple[float], ...]:
    return tuple((value,) for value in values)


def _elastic(side: float, *shares: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Return alpha, sigma and affine, which are given as shares of a side."""
    return tuple(tuple(side * share for share in each) for each in shares)


LARGE: Strengths = {
    "gaussian_noise": _each(0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": _each(60.0, 25.0, 12.0, 5.0, 3.0),
    "impulse_noise": _each(0.03, 0.06, 0.09, 0.17, 0.27),
    "defocus_blur": ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)),
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": (
        (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8), (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7), (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
    ),
    "frost": (
        (1.0, 0.4, 1.0), (0.8, 0.6, 1.0), (0.7, 0.7, 1.0),
        (0.65, 0.7, 1.0), (0.6, 0.75, 1.0),
    ),
    "fog": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    "brightness": _each(0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": _each(0.4, 0.3, 0.2, 0.1, 0.05),
    # 244 for images of 224 is the authors' slip, which the published set has.
    "elastic_transform": _elastic(
        244.0, (2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    ),
    "pixelate": _each(0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": ((25,), (18,), (15,), (10,), (7,)),
    "speckle_noise": _each(0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": _each(1.0, 2.0, 3.0, 4.0, 6.0),
    "spatter": (
        (0.65, 0.3, 4.0, 0.69, 0.6, 0), (0.65, 0.3, 3.0, 0.68, 0.6, 0),
        (0.65, 0.3, 2.0, 0.68, 0.5, 0),
        (0.65, 0.3, 1.0, 0.65, 1.5, 1), (0.67, 0.4, 1.0, 0.65, 1.5, 1),
    ),
    "saturate": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
}  # fmt: skip

INCEPTION: Strengths = LARGE | {
    "gaussian_noise": _each(0.09, 0.13, 0.19, 0.27, 0.40),
    "shot_noise": _each(50.0, 20.0, 10.0, 5.0, 3.0),
    "impulse_noise": _each(0.04, 0.07, 0.10, 0.18, 0.28),
    "defocus_blur": ((4.0, 0.1), (5.0, 0.5), (7.0, 0.5), (10.0, 0.5), (12.0, 0.5)),
    "glass_blur": ((0.8, 1, 3), (1.0, 3, 1), (1.1, 2, 4), (1.2, 4, 2), (1.6, 5, 2)),
    "motion_blur": ((12, 4.0), (17, 6.0), (17, 9.0), (17, 13.0), (22, 16.0)),
    "fog": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.8), (2.5, 1.6), (3.0, 1.5)),
    "elastic_transform": _elastic(
        360.0, (2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    ),
    "pixelate": _each(0.5, 0.4, 0.3, 0.25, 0.2),
    "jpeg_compression": ((23,), (16,), (13,), (8,), (5,)),
    "speckle_noise": _each(0.16, 0.21, 0.36, 0.46, 0.61),
    "gaussian_blur": _each(1.5, 2.5, 3.5, 4.5, 6.5),
    "spatter": (
        (0.65, 0.3, 4.0, 0.69, 0.9, 0), (0.65, 0.3, 3.5, 0.68, 0.9, 0),
        (0.65, 0.3, 3.0, 0.68, 0.8, 0),
        (0.65, 0.3, 1.2, 0.65, 1.8, 1), (0.67, 0.4, 1.2, 0.65, 1.8, 1),
    ),
}  # fmt: skip

SMALL_ZOOM = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))

TINY: Strengths = {
    "gaussian_noise": _each(0.04, 0.08, 0.12, 0.15, 0.18),
    "shot_noise": _each(250.0, 100.0, 50.0, 30.0, 15.0),
    "impulse_noise": _each(0.01, 0.02, 0.05, 0.08, 0.14),
    "defocus_blur": ((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
    "glass_blur": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "motion_blur": ((10, 1.0), (10, 1.5), (10, 2.0), (10, 2.5), (12, 3.0)),
    "zoom_blur": SMALL_ZOOM,
    "snow": (
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.8), (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.7), (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.6),
    ),
    "frost": (
        (1.0, 0.3, 0.3), (0.9, 0.4, 0.3), (0.8, 0.45, 0.3),
        (0.75, 0.5, 0.3), (0.7, 0.55, 0.3),
    ),
    "fog": ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
    "brightness": _each(0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": _each(0.4, 0.3, 0.2, 0.1, 0.05),
    "elastic_transform": _elastic(
        64.0, (0.0, 0.0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03),
        (0.16, 0.03, 0.02),
    ),
    "pixelate": _each(0.9, 0.8, 0.7, 0.6, 0.5),
    "jpeg_compression": ((65,), (58,), (50,), (40,), (25,)),
    "speckle_noise": _each(0.15, 0.2, 0.25, 0.3, 0.35),
    "gaussian_blur": _each(0.5, 0.75, 1.0, 1.25, 1.5),
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.6, 0), (0.65, 0.1, 0.8, 0.7, 0.6, 0),
        (0.65, 0.3, 1.0, 0.69, 0.6, 0),
        (0.65, 0.1, 0.7, 0.68, 0.6, 1), (0.65, 0.1, 0.5, 0.67, 0.6, 1),
    ),
    "saturate": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
}  # fmt: skip

CIFAR: Strengths = {
    "gaussian_noise": _each(0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": _each(500.0, 250.0, 100.0, 75.0, 50.0),
    "impulse_noise": _each(0.01, 0.02, 0.03, 0.05, 0.07),
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "motion_blur": ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
    "zoom_blur": SMALL_ZOOM,
    "snow": tuple(
        (*each[:-1], kept)
        for each, kept in zip(TINY["snow"], (0.95, 0.9, 0.9, 0.85, 0.8), strict=True)
    ),
    "frost": (
        (1.0, 0.2, 0.2), (1.0, 0.3, 0.2), (0.9, 0.4, 0.2),
        (0.85, 0.4, 0.2), (0.75, 0.45, 0.2),
    ),
    "fog": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    "brightness": _each(0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": _each(0.75, 0.5, 0.4, 0.3, 0.15),
    "elastic_transform": _elastic(
        32.0, (0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ),
    "pixelate": _each(0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg_compression": ((80,), (65,), (58,), (50,), (40,)),
    "speckle_noise": _each(0.06, 0.1, 0.12, 0.16, 0.2),
    "gaussian_blur": _each(0.4, 0.6, 0.7, 0.8, 1.0),
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1.0, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
    "saturate": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
}  # fmt: skip

STRENGTHS: dict[int, Strengths] = {32: CIFAR, 64: TINY, 224: LARGE, 299: INCEPTION}
"""By side of the image in pixels, then by corruption, then by severity from 1."""
