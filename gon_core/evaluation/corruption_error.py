"""Corruption error: a model's error under each corruption, relative to AlexNet's.

With E(s, c) the top-1 error under corruption c at severity s,

    CE_c = sum_s E(s, c) / sum_s E_AlexNet(s, c),    mCE = mean of CE_c over the 15 corruptions.

References:
    Appendix D, equation (1) and Table 5; Hendrycks & Dietterich, Benchmarking Neural Network
    Robustness to Common Corruptions and Perturbations, 2019.
"""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence

from gon_core import paper
from gon_core.benchmarks.imagenet_c import SUITE
from gon_core.measurement import CLEAN, TOP1, Measurement, select
from gon_core.names import nearest

# Fractions of 1, means over the severities.
ALEXNET_ERRORS: dict[str, float] = {
    row["corruption"]: row["error"] for row in paper.load("alexnet_imagenet_c_error").to_pylist()
}


def corruption_errors(
    top1_error: Mapping[str, float], left_out: Collection[str] = ()
) -> dict[str, float]:
    """Return the corruption error of each corruption of ImageNet-C, in percent of AlexNet's error.

    Args:
        top1_error: by corruption, the top-1 error averaged over the severities, in percent.
        left_out: corruptions that are not among them; a mean of the others is no mCE.

    Raises:
        ValueError: names every corruption that is missing, unknown or has no percentage.
    """
    _check(top1_error, left_out)
    return {
        name: top1_error[name] / alexnet
        for name, alexnet in ALEXNET_ERRORS.items()
        if name not in left_out
    }


def mean_corruption_error(top1_error: Mapping[str, float]) -> float:
    """Return the mCE in percent, the mean of ``corruption_errors(top1_error)``; see there."""
    return statistics.fmean(corruption_errors(top1_error).values())


def mean_without_noise(percent: Mapping[str, float]) -> float:
    """Return the plain mean over the 12 corruptions other than Gaussian, shot and impulse noise.

    Args:
        percent: by corruption of ImageNet-C, accuracy or error, averaged over the severities.

    Raises:
        ValueError: as ``corruption_errors``.

    References:
        "IN-C w/o noises" in Tables 10 and 11.
    """
    _check(percent)
    return statistics.fmean(percent[name] for name in ALEXNET_ERRORS if name not in SUITE.noises)


def errors_over_severities(
    rows: Iterable[Measurement], split: str, severities: Sequence[int] = SUITE.severities
) -> dict[str, float]:
    """Return the top-1 error of each corruption, averaged over its severities, in percent.

    Args:
        rows: of one model; clean rows and those of other splits are left out.
        split: ``validation`` or ``test``.
        severities: those that every corruption must have, each once.

    Raises:
        ValueError: names every corruption with other severities.
    """
    errors: dict[str, dict[int, list[float]]] = {}
    for row in select(rows, TOP1, split):
        if row.setting != CLEAN and row.severity is not None:
            errors.setdefault(row.setting, {}).setdefault(row.severity, []).append(100 - row.value)
    faults = []
    for name, by_severity in errors.items():
        found = sorted(severity for severity, values in by_severity.items() for _ in values)
        if found != sorted(severities):
            faults.append(f"{name} has the severities {found}, expected {sorted(severities)}")
    if faults:
        raise ValueError("; ".join(faults))
    return {
        name: statistics.fmean(value for values in by_severity.values() for value in values)
        for name, by_severity in errors.items()
    }


def _check(percent: Mapping[str, float], left_out: Collection[str] = ()) -> None:
    faults = [
        f"there is no corruption {name!r} in ImageNet-C, nearest is {nearest(name, ALEXNET_ERRORS)}"
        for name in percent
        if name not in ALEXNET_ERRORS
    ]
    wanted = [name for name in ALEXNET_ERRORS if name not in left_out]
    faults += [f"{name} is missing" for name in wanted if name not in percent]
    faults += [
        f"{name} must be a percentage from 0 to 100, got {percent[name]!r}"
        for name in ALEXNET_ERRORS
        if name in percent and not 0 <= percent[name] <= 100
    ]
    if faults:
        raise ValueError("; ".join(faults))
