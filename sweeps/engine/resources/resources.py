"""What each trial occupies, and how many run at a time: by the options, and by what there is."""

import logging
import math
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sweeps.engine.cli.command_options import MOST_CORES
from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.cluster_check import Capacity, ClusterError, Node
from sweeps.engine.system import machine

SHARED_MEMORY = Path("/dev/shm")
ROUNDING = 1e-9  # of shares of a GPU, which are floats
LEAST_SHARE = 0.01  # of a GPU: what CUDA itself needs of its memory; Ray rounds to 0.0001
FEW_DECODERS, MOST_DECODERS = 2, 16  # processes for a trial, and for a GPU
# A search that learns from every trial should not request all at once, and how far a cluster grows
# only its owner knows.
JOINT_AT_ONCE = 8
# At each step Tune looks through all trials that wait: that is 8 ms of these, 250 of 6,000 (see
# docs/scale.md).
MOST_AT_ONCE = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What each trial occupies, and how many run at a time.

    Attributes:
        cpus: cores, and threads, of each process of a trial.
        gpus: GPUs of a trial; a fraction shares one.
        max_concurrent: trials at a time.
        processes: that train a trial together; with GPUs, one for each of its own.
        decoders: further processes of a trial, which decode its images; a core for each.
        trials_per_process: that share one process, and a GPU; each has its ``cpus`` and ``gpus``.
        grows: whether the machines for so many trials are yet to come, or not: on a cluster that
            starts them.
    """

    cpus: int
    gpus: float
    max_concurrent: int
    processes: int = 1
    grows: bool = False
    decoders: int = 0
    trials_per_process: int = 1

    @property
    def processes_at_once(self) -> int:
        """Processes that run so many trials at a time, where several trials share one."""
        return max(1, self.max_concurrent // self.trials_per_process)

    @property
    def device(self) -> str:
        """``cuda`` where a trial gets any part of a GPU, else ``cpu``."""
        return "cuda" if self.gpus > 0 else "cpu"

    @property
    def all_cpus(self) -> int:
        """Cores of a trial, all of them on one machine."""
        return self.cpus * self.processes + self.decoders

    @property
    def start_gpus(self) -> float:
        """GPUs of the vanilla model: one process trains it, so that all sweeps share its bits."""
        return min(self.gpus, 1.0)


def problems(options: SweepOptions) -> dict[str, str]:
    """Return what the options need and this machine, or cluster, lacks, by option name."""
    gpus, given = options.gpus_per_trial or 0.0, options.processes_per_trial
    if rule := share_problem(gpus):
        return {"gpus_per_trial": rule}
    if gpus > 1 and gpus % 1:
        return {"gpus_per_trial": f"must be a whole number above 1, given: {gpus:g}"}
    if found := _sharing_problems(options):
        return found
    wanted = make_resources(options, at_once=1)
    if given and wanted.gpus and given != (one_each := max(1, int(wanted.gpus))):
        rule = f"must be {one_each}, one for each GPU of a trial (--gpus-per-trial)"
        found = {"processes_per_trial": f"{rule}, given: {given}"}
    elif options.address is not None:
        together = options.trials_per_process
        found = cluster_problems(options, together * wanted.all_cpus, together * wanted.gpus)
    elif sys.platform == "linux" and not SHARED_MEMORY.is_dir():
        found = {"address": f"this machine has no {SHARED_MEMORY}, in which Ray shares images: "
                 "mount one (docker run --shm-size 4g), or give a cluster"}  # fmt: skip
    else:
        found = _machine_problems(options, capacity(options).largest, wanted)
    if options.batch_norm == "local" and wanted.processes == 1:
        rule = "is of trials of several processes (--gpus-per-trial, --processes-per-trial)"
        found["batch_norm"] = f"{rule}, here each has one"
    can_try = options.compile and options.address is None and "gpus_per_trial" not in found
    if can_try and (problem := machine.compiler_problem(wanted.device)):
        rule = "torch.compile does not work here: it needs a C++ compiler and Python's headers"
        found["compile"] = f"{rule} ({problem})"
    if not wanted.gpus:
        rule = "no trial of this sweep has a GPU"
        if options.precision == "tf32":
            found["precision"] = f"must be fp32 or bf16, given: tf32; {rule}, and a CPU has no TF32"
        if options.budget_gpu_hours is not None:
            found["budget_gpu_hours"] = f"{rule}: use --budget-hours"
        if options.price_per_gpu_hour is not None:
            found["price_per_gpu_hour"] = f"{rule}, so that it has no effect"
    return found


def _sharing_problems(options: SweepOptions) -> dict[str, str]:
    """Return why trials cannot share a process, by option name.

    Each is a thread of it. What torch keeps for the whole process must not change under any.
    """
    count, gpus = options.trials_per_process, options.gpus_per_trial or 0.0
    if count == 1:
        return {}
    reasons = {
        "torch.compile is for one at a time (--compile)": options.compile,
        "tf32 holds for all of a process (--precision)": options.precision == "tf32",
        "such a trial has several processes (--processes-per-trial)": (
            options.processes_per_trial or 1
        ) > 1,
    }  # fmt: skip
    if found := [reason for reason, holds in reasons.items() if holds]:
        return {"trials_per_process": f"must be 1, given: {count}; {'; '.join(found)}"}
    most = options.max_concurrent
    if most is not None and most < count:
        rule = f"must be at least {count}, the trials of one process (--trials-per-process)"
        return {"max_concurrent": f"{rule}, given: {most}"}
    if gpus * count > 1 + ROUNDING:
        rule = f"must be at most 1/{count}: the trials of a process share a GPU"
        return {"gpus_per_trial": f"{rule} (--trials-per-process), given: {gpus:g}"}
    return {}


def share_problem(gpus: float) -> str:
    """Return why a trial, or a shard, cannot have so little of a GPU; empty if it can."""
    if 0 < gpus < LEAST_SHARE:
        return f"must be 0 or at least {LEAST_SHARE}, given: {gpus:g}"
    return ""


def cluster_problems(options: SweepOptions, cpus: int, gpus: float) -> dict[str, str]:
    """Return why a cluster cannot run trials of so many cores and GPUs, by option name."""
    assert options.address is not None
    found = ask(options.address)
    if isinstance(found, ClusterError):
        return {"address": str(found)}
    if options.gpus_per_trial is None and found.grows and not found.largest.gpus:
        rule = "say how many, or 0: the cluster has no GPU now, and may start machines with some"
        return {"gpus_per_trial": rule}
    if problem := no_machine_for(options.address, cpus, gpus):
        return {"gpus_per_trial" if gpus > found.largest.gpus else "cpus_per_trial": problem}
    return {}


@cache
def no_machine_for(address: str, cpus: int, gpus: float) -> str:
    """Return why no machine of a cluster can run what needs this much; empty if one can.

    A cluster that grows may start one: then a warning says, once, what may be waited for.
    """
    found = ask(address)
    if isinstance(found, ClusterError):
        return str(found)
    if found.room_for(cpus, gpus):
        return ""
    reason = (
        f"no machine of the cluster has {cpus} CPUs and {gpus:g} GPUs; "
        f"the largest of now has {found.largest.cpus:g} CPUs and {found.largest.gpus:g} GPUs"
    )
    if not found.grows:
        return reason
    log.warning("at %s %s: what needs them waits until the autoscaler starts one", address, reason)
    return ""


def _machine_problems(options: SweepOptions, there: Node, wanted: Resources) -> dict[str, str]:
    found = {}
    elsewhere = options.dry_run and not there.gpus  # of a cluster, planned without any GPU
    if wanted.gpus > there.gpus and not elsewhere:
        rule = f"must be at most {there.gpus}, the GPUs of this machine"
        if not there.gpus:
            rule += " (which has none: leave it out, or plan with --dry-run)"
        found["gpus_per_trial"] = f"{rule}, given: {wanted.gpus:g}"
    if wanted.cpus > there.cpus:
        rule = f"must be at most {there.cpus}, the cores of this machine"
        found["cpus_per_trial"] = f"{rule}, given: {wanted.cpus}"
    most = there.cpus - wanted.cpus * wanted.processes
    if not found and not elsewhere and wanted.decoders > most >= 0:
        rule = (
            f"must be at most {int(most)}: each takes one of the {there.cpus} cores of this machine"
        )
        found["data_workers"] = f"{rule}, given: {wanted.decoders}"
    if not found and not elsewhere and wanted.all_cpus * wanted.trials_per_process > there.cpus:
        if wanted.trials_per_process > 1:
            rule = f"must be at most {int(there.cpus) // wanted.all_cpus}: each trial takes"
            rule += f" {wanted.all_cpus} of the {there.cpus} cores of this machine"
            return {"trials_per_process": f"{rule}, given: {wanted.trials_per_process}"}
        name = "processes_per_trial" if options.processes_per_trial else "gpus_per_trial"
        found[name] = (
            f"must be at most {int(there.cpus) // wanted.cpus}: each process of a trial takes "
            f"{wanted.cpus} of the {there.cpus} cores of this machine (--cpus-per-trial), "
            f"given: {wanted.processes}"
        )
    return found


def capacity(options: SweepOptions) -> Capacity:
    """Return what the options' trials can have; nothing if their cluster does not answer."""
    if options.address is None:
        return Capacity((Node(machine.cpu_count(), machine.gpu_count()),))
    found = ask(options.address)
    return Capacity(()) if isinstance(found, ClusterError) else found


@cache
def ask(address: str) -> Capacity | ClusterError:
    """Return what the cluster at ``HOST:PORT``, or ``auto``, has, or why it cannot be used."""
    try:
        return cluster_check.ask(cluster_check.resolve(address))
    except ClusterError as error:
        return error


def make_resources(options: SweepOptions, at_once: int) -> Resources:
    """Return what a trial occupies: GPUs, or a part of one, where there are any.

    Args:
        options: what was typed.
        at_once: trials that are requested at once of a cluster that grows, unless
            ``--max-concurrent`` says how many.
    """
    there, gpus = capacity(options), options.gpus_per_trial
    together = options.trials_per_process
    if gpus is None:
        gpus = 1.0 / together if there.largest.gpus else 0.0
    processes = options.processes_per_trial or max(1, math.ceil(gpus))
    decoders = _decoders(options, there, gpus, processes)
    cpus = options.cpus_per_trial * processes + decoders
    most = together * there.room_for(together * cpus, together * gpus)
    if there.grows:
        most = max(most, options.max_concurrent or at_once)
    elif not most:  # a dry run for GPUs that this machine has not
        most = options.max_concurrent or together
    most = min(most, options.max_concurrent or most)
    return Resources(
        cpus=options.cpus_per_trial,
        gpus=gpus,
        max_concurrent=max(together, most - most % together),  # whole processes
        processes=processes,
        grows=there.grows,
        decoders=decoders,
        trials_per_process=together,
    )


def _decoders(options: SweepOptions, there: Capacity, gpus: float, processes: int) -> int:
    """Return how many processes decode images for a trial: its share of a machine's cores.

    A machine with GPUs runs as many trials as they suffice for, which divide its cores; of several
    machines, the one with the fewest cores for each decides. Without GPUs training is so slow that
    few decoders keep it busy.
    """
    if options.keeps_images:
        return 0
    if options.data_workers is not None:
        return options.data_workers
    trains = options.cpus_per_trial * processes
    if with_gpus := [node for node in there.nodes if gpus and node.gpus >= gpus]:
        trials = {node: node._replace(cpus=MOST_CORES).fits(1, gpus) for node in with_gpus}
        most = options.max_concurrent or MOST_CORES
        share = min(int(node.cpus) // min(count, most) for node, count in trials.items())
        return max(0, min(MOST_DECODERS * processes, share - trains))
    if options.address is not None:  # what its machines have is not known yet
        return FEW_DECODERS * processes
    return max(0, min(FEW_DECODERS, int(there.largest.cpus) - trains))
