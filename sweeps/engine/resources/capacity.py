"""What there is for trials, where they run: on this machine, or on a Ray cluster."""

from dataclasses import dataclass, replace
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
    """Return what the options' trials can have; nothing where their cluster cannot be asked."""
    if options.address is None:
        return Capacity((Node(machine.cpu_count(), machine.gpu_count()),))
    found = ask(options.address)
    if isinstance(found, ClusterError):
        return Capacity((), is_cluster=True)
    return Capacity(found.nodes, found.grows, is_cluster=True)


@cache
def ask(address: str, cpus: float = 0.0, gpus: float = 0.0) -> ClusterFacts | ClusterError:
    """Return what a cluster has, or why it cannot be used.

    Args:
        address: ``HOST:PORT``, or ``auto``.
        cpus: what a trial needs, to ask whether the cluster can have a machine for it; 0 not to
            ask. An autoscaler may start one then.
        gpus: likewise.
    """
    try:
        place = cluster_check.resolve(address)
        if not cpus:
            return cluster_check.ask(place)
        found = ask(address)
        if isinstance(found, ClusterError):
            return found
        return replace(found, can_fit=cluster_check.can_have(place, found, cpus, gpus))
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
    if options.dry_run and found.grows:
        return {}  # asking its autoscaler could start a machine
    fitting = ask(options.address, cpus, gpus)
    if isinstance(fitting, ClusterError):
        return {"address": str(fitting)}
    if fitting.can_fit:
        return {}
    need = f"{cpus} CPUs and {gpus:g} GPUs a trial"
    most = max(found.nodes, key=lambda node: (node.gpus, node.cpus), default=Node(0, 0))
    largest = f"the largest of now has {most.cpus:g} CPUs and {most.gpus:g} GPUs"
    types = (
        "no machine of the cluster has, nor could be started with,"
        if found.grows
        else ("no machine of the cluster has")
    )
    name = "gpus_per_trial" if gpus > most.gpus else "cpus_per_trial"
    return {name: f"{types} {need}; {largest}"}
