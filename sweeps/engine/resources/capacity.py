"""What there is for trials, where they run: on this machine, or on a Ray cluster."""

import logging
from dataclasses import dataclass
from functools import cache

from sweeps.engine.cli.options import SweepOptions
from sweeps.engine.resources import cluster_check
from sweeps.engine.resources.cluster_check import ClusterError, ClusterFacts, Node
from sweeps.engine.system import machine

# A search that learns from every trial should not ask for all at once, and how far a cluster grows
# only its owner knows.
JOINT_SLOTS = 8
# At each step Tune looks through all trials that wait: that is 8 ms of these, 250 of 6,000 (see
# docs/scale.md).
MOST_SLOTS = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capacity:
    """What there is for trials.

    Attributes:
        nodes: machines that are there now.
        grows: whether further ones are started when trials wait.
        is_cluster: whether it is a Ray cluster, and not this machine.
    """

    nodes: tuple[Node, ...]
    grows: bool = False
    is_cluster: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of the machine that has most of them."""
        return int(max((node.gpus for node in self.nodes), default=0))

    @property
    def cpus(self) -> int:
        """Cores of the machine that has most of them."""
        return int(max((node.cpus for node in self.nodes), default=0))

    def slots(self, cpus: float, gpus: float) -> int:
        """Return how many trials that need this much fit on what is there."""
        return sum(node.fits(cpus, gpus) for node in self.nodes)


def of(options: SweepOptions) -> Capacity:
    """Return what the options' trials can have; nothing if their cluster does not answer."""
    if options.address is None:
        return Capacity((Node(machine.cpu_count(), machine.gpu_count()),))
    found = ask(options.address)
    if isinstance(found, ClusterError):
        return Capacity((), is_cluster=True)
    return Capacity(found.nodes, found.grows, is_cluster=True)


@cache
def ask(address: str) -> ClusterFacts | ClusterError:
    """Return what the cluster at ``HOST:PORT``, or ``auto``, has, or why it cannot be used."""
    try:
        return cluster_check.ask(cluster_check.resolve(address))
    except ClusterError as error:
        return error


def cluster_problems(options: SweepOptions, cpus: int, gpus: float) -> dict[str, str]:
    """Return why a cluster cannot run the trials, by option name.

    Args:
        options: with an address.
        cpus: cores of each trial.
        gpus: of each trial.
    """
    assert options.address is not None
    found = ask(options.address)
    if isinstance(found, ClusterError):
        return {"address": str(found)}
    has_gpu = any(node.gpus for node in found.nodes)
    if options.gpus_per_trial is None and found.grows and not has_gpu:
        rule = "say how many, or 0: the cluster has no GPU now, and may start machines with some"
        return {"gpus_per_trial": rule}
    if not (problem := no_machine_for(options.address, found, cpus, gpus)):
        return {}
    most = max((node.gpus for node in found.nodes), default=0)
    return {"gpus_per_trial" if gpus > most else "cpus_per_trial": problem}


@cache
def no_machine_for(address: str, found: ClusterFacts, cpus: int, gpus: float) -> str:
    """Return why no machine of a cluster can run what needs this much; empty if one can.

    A cluster that grows may start one: then a warning says, once, what may be waited for.
    """
    if found.fits_now(cpus, gpus):
        return ""
    most = max(found.nodes, key=lambda node: (node.gpus, node.cpus), default=Node(0, 0))
    reason = (
        f"no machine of the cluster has {cpus} CPUs and {gpus:g} GPUs; "
        f"the largest of now has {most.cpus:g} CPUs and {most.gpus:g} GPUs"
    )
    if not found.grows:
        return reason
    log.warning("at %s %s: what needs them waits until the autoscaler starts one", address, reason)
    return ""
