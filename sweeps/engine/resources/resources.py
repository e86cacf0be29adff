"""What each trial occupies, and how many run at a time: by the options, and by what there is."""

import math
from dataclasses import dataclass

from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.resources import capacity
from sweeps.engine.resources.capacity import Capacity

LEAST_SHARE = 0.01  # of a GPU: what CUDA itself needs of its memory; Ray rounds to 0.0001


@dataclass(frozen=True)
class Resources:
    """What each trial occupies, and how many run at a time.

    Attributes:
        cpus: cores, and threads, of each process of a trial.
        gpus: GPUs of a trial; a fraction shares one.
        slots: trials at a time.
        processes: that train a trial together; with GPUs, one for each of its own.
        grows: whether the machines for so many trials are yet to come, or not: on a cluster that
            starts them.
    """

    cpus: int
    gpus: float
    slots: int
    processes: int = 1
    grows: bool = False

    @property
    def device(self) -> str:
        """``cuda`` where a trial gets any part of a GPU, else ``cpu``."""
        return "cuda" if self.gpus > 0 else "cpu"

    @property
    def all_cpus(self) -> int:
        """Cores of a trial."""
        return self.cpus * self.processes

    @property
    def start_gpus(self) -> float:
        """GPUs of the vanilla model: one process trains it, so that all sweeps share its bits."""
        return min(self.gpus, 1.0)

    @property
    def per_trial(self) -> dict[str, float]:
        """What Ray keeps for a trial, all of it on one node."""
        return {"cpu": self.all_cpus, "gpu": self.gpus}


def problems(options: SweepOptions) -> dict[str, str]:
    """Return what the options need and this machine, or cluster, lacks, by option name."""
    there = capacity.of(options)
    gpus, given = trial_gpus(options, there), options.gpus_per_trial
    if rule := share_problem(given or 0.0):
        return {"gpus_per_trial": rule}
    if given and given > 1 and given % 1:
        return {"gpus_per_trial": f"must be a whole number above 1, given: {given:g}"}
    found = _processes_problems(options, gpus)
    if not found and options.address is not None:
        cores = options.cpus_per_trial * _processes(options, gpus)
        found = capacity.cluster_problems(options, cores, gpus)
    if not found and options.address is None:
        found = _machine_problems(options, there, gpus)
    if not gpus:
        rule = "no trial of this sweep has a GPU"
        if options.budget_gpu_hours is not None:
            found["budget_gpu_hours"] = f"{rule}: use --budget-hours"
        if options.price_per_gpu_hour is not None:
            found["price_per_gpu_hour"] = f"{rule}, so that it has no effect"
    return found


def share_problem(gpus: float) -> str:
    """Return why a trial, or a shard, cannot have so little of a GPU; empty if it can."""
    if 0 < gpus < LEAST_SHARE:
        return f"must be 0 or at least {LEAST_SHARE}, given: {gpus:g}"
    return ""


def trial_gpus(options: SweepOptions, there: Capacity) -> float:
    """Return how many GPUs a trial has."""
    if options.gpus_per_trial is None:
        return 1.0 if there.gpus else 0.0
    return options.gpus_per_trial


def _processes(options: SweepOptions, gpus: float) -> int:
    return options.processes_per_trial or max(1, math.ceil(gpus))


def _processes_problems(options: SweepOptions, gpus: float) -> dict[str, str]:
    given = options.processes_per_trial
    if given and gpus and given != (one_each := max(1, int(gpus))):
        rule = f"must be {one_each}, one for each GPU of a trial (--gpus-per-trial)"
        return {"processes_per_trial": f"{rule}, given: {given}"}
    return {}


def _machine_problems(options: SweepOptions, there: Capacity, gpus: float) -> dict[str, str]:
    found = {}
    elsewhere = options.dry_run and not there.gpus  # of a cluster, planned without any GPU
    if gpus > there.gpus and not elsewhere:
        rule = f"must be at most {there.gpus}, the GPUs of this machine"
        if not there.gpus:
            rule += " (which has none: leave it out, or plan with --dry-run)"
        found["gpus_per_trial"] = f"{rule}, given: {gpus:g}"
    if options.cpus_per_trial > there.cpus:
        rule = f"must be at most {there.cpus}, the cores of this machine"
        found["cpus_per_trial"] = f"{rule}, given: {options.cpus_per_trial}"
    processes, cpus = _processes(options, gpus), options.cpus_per_trial
    if not found and not elsewhere and cpus * processes > there.cpus:
        name = "processes_per_trial" if options.processes_per_trial else "gpus_per_trial"
        rule = f"must be at most {there.cpus // cpus}: each process of a trial takes"
        cores = f"{cpus} of the {there.cpus} cores of this machine (--cpus-per-trial)"
        found[name] = f"{rule} {cores}, given: {processes}"
    return found


def make_resources(options: SweepOptions, at_once: int) -> Resources:
    """Return what a trial occupies: GPUs, or a part of one, where there are any.

    Args:
        options: those in which ``problems`` finds none.
        at_once: trials that are requested at once of a cluster that grows, unless
            ``--max-concurrent`` says how many.
    """
    there = capacity.of(options)
    gpus = trial_gpus(options, there)
    processes = _processes(options, gpus)
    slots = there.slots(options.cpus_per_trial * processes, gpus)
    if there.grows:
        slots = max(slots, options.max_concurrent or at_once)
    elif not slots:  # a dry run for GPUs that this machine has not
        slots = options.max_concurrent or 1
    return Resources(
        cpus=options.cpus_per_trial,
        gpus=gpus,
        slots=min(slots, options.max_concurrent or slots),
        processes=processes,
        grows=there.grows,
    )
